_base_ = '../msspose_hourglass8_mpii.py'

load_from = 'work_dirs/2_msr/epoch_75.pth'
train_cfg = dict(max_epochs=75)
default_hooks = dict(stages=dict(stages=[_base_.default_hooks.stages.stages[2]]))
