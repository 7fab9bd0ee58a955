# Row 3 on synthetic people, after stage 2: + multi-scale regression network.
_base_ = '../demo/msspose_synthetic_stages.py'

model = dict(head=dict(loss=dict(_delete_=True, type='StructureAwareLoss')))
train_cfg = dict(max_epochs=4)
default_hooks = dict(stages=dict(stages=[_base_.mss_stage, _base_.msr_stage]))
