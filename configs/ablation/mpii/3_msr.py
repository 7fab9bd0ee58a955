# Row 3, after stage 2: + multi-scale regression network.
_base_ = './2_mss.py'

model = dict(backbone=dict(context='stem'), head=dict(type='MSRHead', num_keypoints=16))
train_cfg = dict(max_epochs=225)
default_hooks = dict(
    stages=dict(
        type='StageScheduleHook',
        stages=[
            dict(name='mss', epochs=150, train=['backbone'], set={'head.refine': False}),
            dict(name='msr', epochs=75, train=['head']),
        ]))
