# Training recipes of the hourglass: one stack of 64 channels at 128x128, 800 steps of 8 synthetic
# people, the rate divided by 5 after 640 of them, float32. Data: tools/make_synthetic.py
# --layout mpii --train 4000 --val 500 --seed 1 --out work_dirs/recipes/data
_base_ = '../../configs/demo/msspose_synthetic.py'

data_root = 'work_dirs/recipes/data/'
model = dict(backbone=dict(channels=64))
train_dataloader = dict(dataset=dict(data_root=data_root, indices=3200))
val_dataloader = dict(
    dataset=dict(data_root=data_root, headbox_file=f'{data_root}annotations/mpii_gt_val.mat'))
optim_wrapper = dict(_delete_=True, type='OptimWrapper', optimizer=dict(type='SGD', lr=5e-4))
fall = dict(type='MultiStepLR', by_epoch=False, milestones=[640], gamma=0.2)
param_scheduler = [fall]


def _optimizer(kind, lr, cut=None, **more):
    entries = dict(type=kind, lr=lr, **more)
    return {**{f'optim_wrapper.optimizer.{key}': value for key, value in entries.items()},
            **({'optim_wrapper.clip_grad.max_norm': cut} if cut else {})}


variants = {
    'sgd_5e-4': _optimizer('SGD', 5e-4, momentum=0.9),
    'sgd_5e-4_cut5': _optimizer('SGD', 5e-4, 5, momentum=0.9),
    'sgd_5e-3_cut5': _optimizer('SGD', 5e-3, 5, momentum=0.9),
    'rmsprop_2.5e-4': _optimizer('RMSprop', 2.5e-4),
    'rmsprop_5e-4': _optimizer('RMSprop', 5e-4),
    'adam_5e-4': _optimizer('Adam', 5e-4),
    'adam_1e-3': _optimizer('Adam', 1e-3),
    'adamw_5e-4': _optimizer('AdamW', 5e-4, weight_decay=0.01),
    'adamw_1e-3': _optimizer('AdamW', 1e-3, weight_decay=0.01),
}
