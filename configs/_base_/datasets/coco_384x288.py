# COCO for MLPE at the larger size.
_base_ = './coco_256x192.py'

codec = dict(
    type='GaussianHeatmap', input_size=(288, 384), heatmap_size=(72, 96), sigma=3.8,
    cell_offset=0.5, refine='second_peak', blur_kernel_size=21)

crop = dict(
    type='BorderedTopdownAffine', input_size=codec['input_size'], border=_base_.border)
target = dict(type='GenerateTarget', encoder=codec)
train_pipeline = [*_base_.augmented, crop, *_base_.coloured, target, *_base_.packed]
val_pipeline = [*_base_.loaded, crop, dict(type='PackPoseInputs')]

train_dataloader = dict(batch_size=12, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
