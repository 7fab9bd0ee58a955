# Row 5, after stage 3: + keypoint masking. The complete method.
_base_ = './4_structure_aware.py'

_pipeline = _base_.train_dataloader.dataset.pipeline
train_cfg = dict(max_epochs=6)
default_hooks = dict(
    stages=dict(
        stages=[
            *_base_.default_hooks.stages.stages,
            dict(
                name='joint',
                epochs=2,
                pipeline=[*_pipeline[:5], dict(type='KeypointMasking'), *_pipeline[5:]]),
        ]))
