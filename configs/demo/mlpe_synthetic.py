# Our variant of MLPE with a quarter of the width, on synthetic people in COCO's format at 128x96,
# from random weights: trains in minutes on two CPU cores.
_base_ = [
    '../_base_/models/mlpe_ours_resnest50.py',
    '../_base_/datasets/coco_256x192.py',
    '../_base_/schedules/adamw_onecycle.py',
]

data_root = 'work_dirs/demo_mlpe/data/'
codec = dict(
    type='GaussianHeatmap', input_size=(96, 128), heatmap_size=(24, 32), sigma=2.,
    cell_offset=0.375, unbiased=True, refine='dark', blur_kernel_size=11)

model = dict(
    backbone=dict(stem_channels=16, base_channels=16, init_cfg=None),
    neck=dict(in_channels=(64, 128, 256, 512), channels=64),
    head=dict(channels=64, sigmas=(2.0, 1.8, 1.6, 1.4), decoder=codec))

# the figures are varied enough that a short training does without the full augmentation
_crop = dict(type='BorderedTopdownAffine', input_size=codec['input_size'], border=_base_.border)
train_pipeline = [
    *_base_.augmented[:2],
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='RandomBBoxTransform', shift_prob=0., rotate_prob=1., rotate_factor=15.,
        scale_factor=(0.85, 1.15)),
    _crop, dict(type='GenerateTarget', encoder=codec), *_base_.packed
]
val_pipeline = [*_base_.loaded, _crop, dict(type='PackPoseInputs')]

train_dataloader = dict(
    batch_size=8, num_workers=1, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(num_workers=1, dataset=dict(data_root=data_root, pipeline=val_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=f'{data_root}annotations/person_keypoints_val2017.json')
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(save_best='coco/AP'), logger=dict(interval=100))
