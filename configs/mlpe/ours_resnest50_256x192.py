# Ours, beside row c: lateral skips, ImageNet's normalisation, occluded keypoints counted, and
# unbiased coding: targets at the keypoint's exact place, decoded by DARK, cells in the middle of
# their pixels, where flip testing needs no shift. Trained on synthetic people only; see the README.
_base_ = [
    '../_base_/models/mlpe_ours_resnest50.py',
    '../_base_/datasets/coco_256x192.py',
    '../_base_/schedules/adam_step.py',
]

codec = dict(
    type='GaussianHeatmap', input_size=(192, 256), heatmap_size=(48, 64), sigma=2.6,
    cell_offset=0.375, unbiased=True, refine='dark', blur_kernel_size=11)
target = dict(type='GenerateTarget', encoder=codec)
train_pipeline = [*_base_.augmented, _base_.crop, *_base_.coloured, target, *_base_.packed]

model = dict(head=dict(decoder=codec))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
