# The MSS-net with one stack, on synthetic people at 128x128: trains in about ten minutes on two
# CPU cores.
_base_ = [
    '../_base_/models/msspose_hourglass8.py',
    '../_base_/datasets/mpii_256x256.py',
    '../_base_/schedules/adamw_onecycle.py',
]

data_root = 'work_dirs/demo/data/'
# 3 sigma must be whole: otherwise MSRAHeatmap draws one pixel off near the left and upper edge
codec = dict(type='MSRAHeatmap', input_size=(128, 128), heatmap_size=(32, 32), sigma=5 / 3)

model = dict(
    backbone=dict(num_stacks=1, channels=128, depth=3, levels=(4, 2, 1), channels_last=True),
    head=dict(
        _delete_=True, type='MSSHead', loss=dict(type='StructureAwareLoss'), decoder=codec))

# The figures are varied enough that a short training does without the full augmentation.
_base_.train_dataloader.dataset.pipeline[3].update(rotate_factor=15., scale_factor=(0.85, 1.15))
_base_.train_dataloader.dataset.pipeline[4].input_size = codec['input_size']
_base_.train_dataloader.dataset.pipeline[5].encoder = codec
_base_.val_dataloader.dataset.pipeline[3].input_size = codec['input_size']
_base_.test_dataloader.dataset.pipeline[3].input_size = codec['input_size']

train_dataloader = dict(num_workers=1, dataset=dict(data_root=data_root))
val_dataloader = dict(
    num_workers=1,
    batch_size=32,
    dataset=dict(data_root=data_root, headbox_file=f'{data_root}annotations/mpii_gt_val.mat'))
test_dataloader = val_dataloader

default_hooks = dict(logger=dict(interval=100))
