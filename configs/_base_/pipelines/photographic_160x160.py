# For synthetic people that have to stand in for photographs: boxes too large, too small and beside
# the person, bodies cut off, more rotation than MSSPose §4.1, keypoint masking throughout.
_base_ = './synthetic_128x128.py'

input_size = (160, 160)
codec = dict(
    _base_.codec, input_size=input_size, heatmap_size=tuple(side // 4 for side in input_size))

load = dict(_base_.load, input_size=input_size)
augmentation = [
    dict(
        type='FastRandomBBoxTransform', shift_factor=0.12, shift_prob=0.6, rotate_factor=40.,
        rotate_prob=0.6, scale_factor=(0.6, 1.3), scale_prob=1.),
    load,
    dict(type='RandomFlip', direction='horizontal'),
]
colours = dict(type='PhotometricDistortion', hue_delta=9)
crop = dict(_base_.crop, input_size=input_size)
target = dict(type='GenerateTarget', encoder=codec)
train_pipeline = [
    *_base_.pre_transform, *augmentation, crop, _base_.masking, colours, target,
    *_base_.last_transform
]
val_pipeline = [*_base_.val_pre_transform, crop, *_base_.last_transform]
