# The third stage as a run of its own, from the second one's last weights.
_base_ = '../msspose_hourglass8_mpii.py'

load_from = 'work_dirs/msspose_hourglass8_mpii_stage2/epoch_75.pth'
train_cfg = dict(max_epochs=75)
default_hooks = dict(stages=dict(stages=[_base_.joint_stage]))
