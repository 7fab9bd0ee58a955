# For synthetic people that have to stand in for photographs: wide boxes, keypoint masking throughout.
_base_ = './synthetic_128x128.py'

input_size = (160, 160)
codec = dict(
    _base_.codec, input_size=input_size, heatmap_size=tuple(side // 4 for side in input_size))

load = dict(_base_.load, input_size=input_size)
augmentation = [_base_.wide_boxes, load, _base_.flip]
crop = dict(_base_.crop, input_size=input_size)
target = dict(type='GenerateTarget', encoder=codec)
train_pipeline = [
    *_base_.pre_transform, *augmentation, crop, _base_.masking, _base_.colours, target,
    *_base_.last_transform
]
val_pipeline = [*_base_.val_pre_transform, crop, *_base_.last_transform]
