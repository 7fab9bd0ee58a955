# The network whose weights come with the package: two stacks at 160x160, multi-scale supervision,
# structure-aware loss and keypoint masking, trained on drawn people alone. The people:
#   mspose synthesize --layout mpii --difficulty photographic --seed 1 --train 36000 --val 600 \
#       --out data/photographic
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/hourglass8.py',
    '../_base_/datasets/mpii_topdown.py',
    '../_base_/pipelines/photographic_160x160.py',
    '../_base_/schedules/adamw_onecycle.py',
]

model = dict(
    backbone=dict(num_stacks=2, channels=128, depth=3, levels=(4, 2, 1)),
    head=dict(loss=dict(skeleton='mpii', alpha=0.1), decoder=_base_.codec))

data_root = 'data/photographic/'
train_dataloader = dict(
    batch_size=16, num_workers=1,
    dataset=dict(data_root=data_root, pipeline=_base_.train_pipeline))
val_dataloader = dict(
    num_workers=1, batch_size=32,
    dataset=dict(
        data_root=data_root, headbox_file=f'{data_root}annotations/mpii_gt_val.mat',
        pipeline=_base_.val_pipeline))
test_dataloader = val_dataloader

train_cfg = dict(_base_.train_loop, max_epochs=3)
param_scheduler = [dict(_base_.one_cycle, total_steps=3)]
default_hooks = dict(logger=dict(interval=100))
