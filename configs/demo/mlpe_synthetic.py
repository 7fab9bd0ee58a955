# Our variant of MLPE with a quarter of the width, on synthetic people in COCO's format at 128x96,
# from random weights: trains in minutes on two CPU cores.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/mlpe_resnest50_skips.py',
    '../_base_/datasets/coco_topdown_mlpe.py',
    '../_base_/pipelines/synthetic_128x96.py',
    '../_base_/schedules/adamw_onecycle.py',
]

model = dict(
    backbone=dict(stem_channels=16, base_channels=16, init_cfg=None),
    neck=dict(in_channels=(64, 128, 256, 512), channels=64),
    head=dict(channels=64, sigmas=_base_.level_sigmas, decoder=_base_.codec))

data_root = 'work_dirs/demo_mlpe/data/'
train_dataloader = dict(
    batch_size=8, num_workers=1,
    dataset=dict(data_root=data_root, pipeline=_base_.train_pipeline))
val_dataloader = dict(
    num_workers=1, dataset=dict(data_root=data_root, pipeline=_base_.val_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=f'{data_root}annotations/person_keypoints_val2017.json')
test_evaluator = val_evaluator

train_cfg = _base_.train_loop
default_hooks = dict(checkpoint=dict(save_best='coco/AP'), logger=dict(interval=100))
