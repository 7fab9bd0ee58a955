# The second stage as a run of its own, from the first one's last weights.
_base_ = '../msspose_hourglass8_mpii.py'

load_from = 'work_dirs/msspose_hourglass8_mpii_stage1/epoch_150.pth'
train_cfg = dict(max_epochs=75)
default_hooks = dict(stages=dict(stages=[_base_.msr_stage]))
