# The three stages from bearpaw's published 8-stack hourglass, with its input and its heatmap cells
# (../hourglass/hourglass8_mpii_bearpaw.py); the predictors of the coarser levels and the MSR-net are
# new. Ours: Adam, since RMSprop's first steps undo the weights, and a fifth of the rate for them.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/msspose_hourglass8.py',
    '../_base_/datasets/mpii_topdown.py',
    '../_base_/pipelines/topdown_256x256_cells.py',
    '../_base_/schedules/msspose_stages.py',
]

model = dict(
    data_preprocessor=dict(mean=[255 * 0.4404, 255 * 0.4440, 255 * 0.4327], std=[255.] * 3),
    backbone=dict(
        stem_channels=(64, 128, 256),
        init_cfg=dict(
            type='Pretrained', checkpoint='hourglass://bearpaw_hg8', prefix='backbone.',
            strict=True, new=[r'stacks\.\d\.coarse\.'])),
    head=dict(decoder=_base_.codec),
    test_cfg=dict(shift_heatmap=False))

train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.val_pipeline))
test_dataloader = val_dataloader

train_cfg = _base_.train_loop
mss_stage = dict(_base_.mss_stage, lr_factor=0.2)
joint_stage = dict(_base_.joint_stage, lr_factor=0.2, pipeline=_base_.train_pipeline_masked)
default_hooks = dict(
    stages=dict(type='StageScheduleHook', stages=[mss_stage, _base_.msr_stage, joint_stage]))
