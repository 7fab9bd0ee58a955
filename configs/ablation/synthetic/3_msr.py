# Row 3, after stage 2: + multi-scale regression network.
_base_ = './2_mss.py'

model = dict(
    backbone=dict(context='stem'),
    head=dict(
        type='MSRHead', num_keypoints=16, levels=(4, 2, 1), channels=128, depth=3,
        context_channels=128))
train_cfg = dict(max_epochs=4)
default_hooks = dict(
    stages=dict(
        type='StageScheduleHook',
        stages=[
            dict(name='mss', epochs=2, train=['backbone'], set={'head.refine': False}),
            dict(name='msr', epochs=2, train=['head']),
        ]))
