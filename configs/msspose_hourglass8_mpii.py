# MSSPose on MPII: three stages in one run, 150 + 75 + 75 epochs (§4.1).
_base_ = [
    '_base_/models/msspose_hourglass8.py',
    '_base_/datasets/mpii_256x256.py',
    '_base_/schedules/msspose_stages.py',
]

model = dict(head=dict(decoder=_base_.codec))
_base_.default_hooks.stages.stages[2].pipeline = _base_.train_pipeline_masked
