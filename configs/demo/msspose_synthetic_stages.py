# The complete method, small: regression network, structure-aware loss, three stages, masking.
_base_ = './msspose_synthetic.py'

model = dict(
    backbone=dict(context='stem'),
    head=dict(
        _delete_=True,
        type='MSRHead',
        num_keypoints=16,
        levels=(4, 2, 1),
        channels=128,
        depth=3,
        context_channels=128,
        loss=dict(type='StructureAwareLoss', skeleton='mpii', alpha=0.1),
        decoder=_base_.codec))

_pipeline = _base_.train_dataloader.dataset.pipeline
train_cfg = dict(max_epochs=6)
default_hooks = dict(
    stages=dict(
        type='StageScheduleHook',
        stages=[
            dict(name='mss', epochs=2, train=['backbone'], set={'head.refine': False}),
            dict(name='msr', epochs=2, train=['head']),
            dict(
                name='joint',
                epochs=2,
                pipeline=[*_pipeline[:5], dict(type='KeypointMasking'), *_pipeline[5:]]),
        ]))
