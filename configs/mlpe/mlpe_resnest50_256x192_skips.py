# Ours, beside row c: lateral skips, ImageNet's normalisation, occluded keypoints counted, unbiased
# coding. Trained on synthetic people only: docs/mlpe.md.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/mlpe_resnest50_skips.py',
    '../_base_/datasets/coco_topdown_mlpe.py',
    '../_base_/pipelines/mlpe_256x192_unbiased.py',
    '../_base_/schedules/adam_step.py',
]

model = dict(head=dict(sigmas=_base_.level_sigmas, decoder=_base_.codec))

train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.val_pipeline))
test_dataloader = val_dataloader

train_cfg = _base_.train_loop
default_hooks = dict(checkpoint=dict(save_best='coco/AP'))
