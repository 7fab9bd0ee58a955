# Row 4 on synthetic people, after stage 2: + structure-aware loss.
_base_ = '../demo/msspose_synthetic_stages.py'

train_cfg = dict(max_epochs=4)
default_hooks = dict(stages=dict(stages=[_base_.mss_stage, _base_.msr_stage]))
