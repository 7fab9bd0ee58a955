# The first of the three stages as a run of its own; together they are msspose_hourglass8_mpii.py.
_base_ = '../msspose_hourglass8_mpii.py'

model = dict(head=dict(refine=False))
train_cfg = dict(max_epochs=150)
default_hooks = dict(stages=dict(stages=[_base_.mss_stage]))
