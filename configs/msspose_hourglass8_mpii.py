# MSSPose on MPII: three stages in one run, 150 + 75 + 75 epochs (§4.1).
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/msspose_hourglass8.py',
    '_base_/datasets/mpii_topdown.py',
    '_base_/pipelines/topdown_256x256.py',
    '_base_/schedules/msspose_stages.py',
]

model = dict(head=dict(decoder=_base_.codec))

train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.val_pipeline))
test_dataloader = val_dataloader

train_cfg = _base_.train_loop
joint_stage = dict(_base_.joint_stage, pipeline=_base_.train_pipeline_masked)
default_hooks = dict(
    stages=dict(
        type='StageScheduleHook', stages=[_base_.mss_stage, _base_.msr_stage, joint_stage]))
