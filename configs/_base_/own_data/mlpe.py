# MLPE (our variant) for own data: ResNeSt-50 from ImageNet weights, 256x192; a validation loss and
# pictures of the curves.
_base_ = [
    '../default_runtime.py',
    '../models/mlpe_resnest50_skips.py',
    '../datasets/own_topdown.py',
    '../pipelines/mlpe_256x192_unbiased.py',
    '../schedules/adam_step.py',
]

model = dict(head=dict(sigmas=_base_.level_sigmas, decoder=_base_.codec))

# ResNeSt normalises over one pixel per sample, so that a batch of one sample cannot be trained on
train_dataloader = dict(
    batch_size=32, drop_last=True, dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(batch_size=32, dataset=dict(pipeline=_base_.val_pipeline))
test_dataloader = val_dataloader

train_cfg = _base_.train_loop
default_hooks = dict(
    checkpoint=dict(save_best='coco/AP'),
    logger=dict(interval=10),
    validation_loss=dict(type='ValidationLossHook'),
    training_curves=dict(type='TrainingCurvesHook'))
