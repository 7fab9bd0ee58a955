# MSSPose for own data: 2 stacks, trained in one go with the regression network and the
# structure-aware loss; a validation loss and pictures of the curves.
_base_ = [
    '../default_runtime.py',
    '../models/msspose_hourglass8.py',
    '../datasets/own_topdown.py',
    '../pipelines/topdown_256x256.py',
    '../schedules/plateau.py',
]

# the config adds the skeleton
model = dict(
    backbone=dict(num_stacks=2),
    head=dict(
        decoder=_base_.codec, loss=dict(_delete_=True, type='StructureAwareLoss', alpha=0.05)))

train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.val_pipeline))
test_dataloader = val_dataloader

train_cfg = _base_.train_loop
param_scheduler = [dict(_base_.plateau, monitor='coco/AP')]
default_hooks = dict(
    checkpoint=dict(save_best='coco/AP'),
    logger=dict(interval=10),
    validation_loss=dict(type='ValidationLossHook'),
    training_curves=dict(type='TrainingCurvesHook'))
