# Row 4, after stage 2: + structure-aware loss. The complete method but for keypoint masking.
_base_ = '../msspose_hourglass8_mpii.py'

train_cfg = dict(max_epochs=225)
default_hooks = dict(stages=dict(stages=[_base_.mss_stage, _base_.msr_stage]))
