# MSSPose §4.1: the MSS-net alone, the MSR-net with the MSS-net fixed, both with keypoint masking.
# Each stage starts from the last weights of the one before and from the initial learning rate. A
# config for this schedule sets the data of the last stage:
#   _base_.default_hooks.stages.stages[2].pipeline = _base_.train_pipeline_masked
_base_ = './plateau.py'

train_cfg = dict(max_epochs=300)

default_hooks = dict(
    stages=dict(
        type='StageScheduleHook',
        stages=[
            dict(name='mss', epochs=150, train=['backbone'], set={'head.refine': False}),
            dict(name='msr', epochs=75, train=['head']),
            dict(name='joint', epochs=75),
        ]))
