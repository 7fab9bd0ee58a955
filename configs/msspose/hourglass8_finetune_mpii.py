# The three stages from bearpaw's published 8-stack hourglass, with its input and its heatmap cells
# (configs/hourglass/bearpaw_hg8_mpii.py); the predictors of the coarser levels and the MSR-net are
# new. Ours: Adam, since RMSprop's first steps undo the weights, and a fifth of the rate for them.
_base_ = '../msspose_hourglass8_mpii.py'

codec = dict(
    type='GaussianHeatmap', input_size=(256, 256), heatmap_size=(64, 64), sigma=1,
    cell_offset=0.5, refine='quarter')
model = dict(
    data_preprocessor=dict(mean=[255 * 0.4404, 255 * 0.4440, 255 * 0.4327], std=[255.] * 3),
    backbone=dict(
        stem_channels=(64, 128, 256),
        init_cfg=dict(
            type='Pretrained', checkpoint='hourglass://bearpaw_hg8', prefix='backbone.',
            strict=True, new=[r'stacks\.\d\.coarse\.'])),
    head=dict(decoder=codec),
    test_cfg=dict(shift_heatmap=False))
train_pipeline = [
    dict(step, encoder=codec) if 'encoder' in step else step for step in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
_base_.default_hooks.stages.stages[0].lr_factor = 0.2
_base_.default_hooks.stages.stages[2].lr_factor = 0.2
_base_.default_hooks.stages.stages[2].pipeline = [
    dict(step, encoder=codec) if 'encoder' in step else step
    for step in _base_.train_pipeline_masked
]
