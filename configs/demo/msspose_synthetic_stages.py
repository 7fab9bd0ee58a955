# The complete method, small: regression network, structure-aware loss, three stages, masking.
_base_ = './msspose_synthetic.py'

model = dict(
    backbone=dict(context='stem'),
    head=dict(
        type='MSRHead', num_keypoints=16, levels=(4, 2, 1), channels=128, depth=3,
        context_channels=128, loss=dict(skeleton='mpii', alpha=0.05)))

mss_stage = dict(name='mss', epochs=2, train=['backbone'], set={'head.refine': False})
msr_stage = dict(name='msr', epochs=2, train=['head'])
joint_stage = dict(name='joint', epochs=2, pipeline=_base_.train_pipeline_masked)
train_cfg = dict(max_epochs=6)
default_hooks = dict(
    stages=dict(type='StageScheduleHook', stages=[mss_stage, msr_stage, joint_stage]))
