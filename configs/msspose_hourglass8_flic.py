# MSSPose on FLIC: 11 joints of the upper body.
_base_ = [
    '_base_/models/msspose_hourglass8.py',
    '_base_/datasets/flic_256x256.py',
    '_base_/schedules/msspose_stages.py',
]

model = dict(
    backbone=dict(num_keypoints=11),
    head=dict(num_keypoints=11, loss=dict(skeleton='flic'), decoder=_base_.codec))
_base_.default_hooks.stages.stages[2].pipeline = _base_.train_pipeline_masked
_base_.default_hooks.checkpoint.save_best = 'PCK'
_base_.param_scheduler[0].monitor = 'PCK'
