# MSSPose on MPII with the optimizer that the paper names: SGD at 5e-4.
_base_ = [
    '../_base_/models/msspose_hourglass8.py',
    '../_base_/datasets/mpii_256x256.py',
    '../_base_/schedules/msspose_stages_sgd.py',
]

model = dict(head=dict(decoder=_base_.codec))
_base_.default_hooks.stages.stages[2].pipeline = _base_.train_pipeline_masked
