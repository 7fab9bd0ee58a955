# MSSPose on COCO: not in the paper.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/msspose_hourglass8.py',
    '../_base_/datasets/coco_topdown.py',
    '../_base_/pipelines/topdown_256x256.py',
    '../_base_/schedules/msspose_stages.py',
]

num_keypoints = 17
model = dict(
    backbone=dict(num_keypoints=num_keypoints),
    head=dict(num_keypoints=num_keypoints, loss=dict(skeleton='coco'), decoder=_base_.codec))

train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.val_pipeline))
test_dataloader = val_dataloader

train_cfg = _base_.train_loop
param_scheduler = [dict(_base_.plateau, monitor='coco/AP')]
joint_stage = dict(_base_.joint_stage, pipeline=_base_.train_pipeline_masked)
default_hooks = dict(
    checkpoint=dict(save_best='coco/AP'),
    stages=dict(
        type='StageScheduleHook', stages=[_base_.mss_stage, _base_.msr_stage, joint_stage]))
