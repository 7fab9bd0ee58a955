# Row 5, after stage 3: + keypoint masking. The complete method: ../../msspose_hourglass8_mpii.py.
_base_ = './4_structure_aware.py'

train_cfg = dict(max_epochs=300)
default_hooks = dict(
    stages=dict(
        stages=[
            *_base_.default_hooks.stages.stages,
            dict(name='joint', epochs=75, pipeline=_base_.train_pipeline_masked),
        ]))
