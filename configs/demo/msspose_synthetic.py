# The MSS-net with one stack, on synthetic people at 128x128: trains in about ten minutes on two
# CPU cores.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/hourglass8.py',
    '../_base_/datasets/mpii_topdown.py',
    '../_base_/pipelines/synthetic_128x128.py',
    '../_base_/schedules/adamw_onecycle.py',
]

model = dict(
    backbone=dict(num_stacks=1, channels=128, depth=3, levels=(4, 2, 1)),
    head=dict(decoder=_base_.codec))

data_root = 'work_dirs/demo/data/'
train_dataloader = dict(
    num_workers=1, dataset=dict(data_root=data_root, pipeline=_base_.train_pipeline))
val_dataloader = dict(
    num_workers=1,
    batch_size=32,
    dataset=dict(
        data_root=data_root, headbox_file=f'{data_root}annotations/mpii_gt_val.mat',
        pipeline=_base_.val_pipeline))
test_dataloader = val_dataloader

train_cfg = _base_.train_loop
default_hooks = dict(logger=dict(interval=100))
