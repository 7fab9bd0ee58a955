# For short trainings on synthetic people, which are varied enough to do without the full
# augmentation.
_base_ = './topdown_256x256.py'

input_size = (128, 128)
# 3 sigma must be whole: otherwise MSRAHeatmap draws one pixel off near the left and upper edge
codec = dict(
    _base_.codec, input_size=input_size, heatmap_size=tuple(side // 4 for side in input_size),
    sigma=5 / 3)

load = dict(_base_.load, input_size=input_size)
augmentation = [
    dict(
        type='FastRandomBBoxTransform',
        shift_prob=0.,
        rotate_factor=15.,
        rotate_prob=1.,
        scale_factor=(0.85, 1.15),
        scale_prob=1.),
    load,
    dict(type='RandomFlip', direction='horizontal'),
]
# for drawn people that stand in for photographs: boxes too large, too small and beside the person,
# bodies cut off, more rotation than MSSPose §4.1
wide_boxes = dict(
    type='FastRandomBBoxTransform', shift_factor=0.12, shift_prob=0.6, rotate_factor=40.,
    rotate_prob=0.6, scale_factor=(0.6, 1.3), scale_prob=1.)
flip = dict(type='RandomFlip', direction='horizontal')
crop = dict(_base_.crop, input_size=input_size)
colours = dict(type='PhotometricDistortion', hue_delta=9)
# black squares of about as many pixels in the mean as keypoint masking pastes
cutout = dict(type='mmdet.CutOut', n_holes=(0, 3), cutout_shape=[(s, s) for s in (11, 14, 17, 20)])
target = dict(type='GenerateTarget', encoder=codec)

train_pipeline = [*_base_.pre_transform, *augmentation, crop, target, *_base_.last_transform]
train_pipeline_masked = [
    *_base_.pre_transform, *augmentation, crop, _base_.masking, target, *_base_.last_transform
]
train_pipeline_cutout = [
    *_base_.pre_transform, *augmentation, crop, cutout, target, *_base_.last_transform
]
train_pipeline_colours = [
    *_base_.pre_transform, *augmentation, crop, colours, target, *_base_.last_transform
]
train_pipeline_masked_colours = [
    *_base_.pre_transform, *augmentation, crop, _base_.masking, colours, target,
    *_base_.last_transform
]
val_pipeline = [*_base_.val_pre_transform, crop, *_base_.last_transform]
