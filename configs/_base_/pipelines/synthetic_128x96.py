# For short trainings of our variant of MLPE on synthetic people, which are varied enough to do
# without the full augmentation.
_base_ = './mlpe_256x192_unbiased.py'

input_size = (96, 128)
level_sigmas = (2.0, 1.8, 1.6, 1.4)
codec = dict(
    _base_.codec, input_size=input_size, heatmap_size=tuple(side // 4 for side in input_size),
    sigma=max(level_sigmas))

augmentation = [
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='RandomBBoxTransform', shift_prob=0., rotate_prob=1., rotate_factor=15.,
        scale_factor=(0.85, 1.15)),
]
crop = dict(_base_.crop, input_size=input_size)
target = dict(type='GenerateTarget', encoder=codec)
train_pipeline = [*_base_.pre_transform, *augmentation, crop, target, *_base_.last_transform]
val_pipeline = [*_base_.val_pre_transform, crop, _base_.pack]
