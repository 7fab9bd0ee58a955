# MLPE at the larger input size.
_base_ = './mlpe_256x192.py'

input_size = (288, 384)
level_sigmas = (3.8, 2.9, 2.3, 1.7)
codec = dict(
    _base_.codec, input_size=input_size, heatmap_size=tuple(side // 4 for side in input_size),
    sigma=max(level_sigmas))

crop = dict(_base_.crop, input_size=input_size)
target = dict(type='GenerateTarget', encoder=codec)
train_pipeline = [
    *_base_.pre_transform, *_base_.augmentation, crop, *_base_.after_crop, target,
    *_base_.last_transform
]
val_pipeline = [*_base_.val_pre_transform, crop, _base_.pack]
