# Unbiased coding in place of the release's: targets at the keypoint's exact place, decoded by DARK,
# cells in the middle of their pixels, where flip testing needs no shift.
_base_ = './mlpe_256x192.py'

codec = dict(
    _base_.codec, cell_offset=0.375, unbiased=True, refine='dark', blur_kernel_size=11)

target = dict(type='GenerateTarget', encoder=codec)
train_pipeline = [
    *_base_.pre_transform, *_base_.augmentation, _base_.crop, *_base_.after_crop, target,
    *_base_.last_transform
]
train_pipeline_masked = [
    *_base_.pre_transform, *_base_.augmentation, _base_.crop, dict(type='KeypointMasking'),
    *_base_.after_crop, target, *_base_.last_transform
]
