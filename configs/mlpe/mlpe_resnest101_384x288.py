# MLPE as released, ResNeSt-101 at 384x288: row f of the paper's ablation. Its stem is twice as wide.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/mlpe_resnest50.py',
    '../_base_/datasets/coco_topdown_mlpe.py',
    '../_base_/pipelines/mlpe_384x288.py',
    '../_base_/schedules/adam_step.py',
]

model = dict(
    backbone=dict(depth=101, stem_channels=128, init_cfg=dict(checkpoint='mmcls://resnest101')),
    head=dict(sigmas=_base_.level_sigmas, decoder=_base_.codec))

batch_size = 12
train_dataloader = dict(
    batch_size=batch_size, dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.val_pipeline))
test_dataloader = val_dataloader

train_cfg = _base_.train_loop
auto_scale_lr = dict(base_batch_size=batch_size)
default_hooks = dict(checkpoint=dict(save_best='coco/AP'))
