# The same comparison on the MSS-net of the published config: 8 stacks, 256x256, 80 steps of 4
# synthetic people, bfloat16 where the CPU computes it; a constant rate. Data as recipes_small.py.
_base_ = '../../configs/ablation/hourglass8_mpii_mss.py'

data_root = 'work_dirs/recipes/data/'
model = dict(test_cfg=dict(flip_test=False))
train_dataloader = dict(
    batch_size=4, num_workers=1, dataset=dict(data_root=data_root, indices=320))
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(
        data_root=data_root, headbox_file=f'{data_root}annotations/mpii_gt_val.mat', indices=100))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=1)
optim_wrapper = dict(_delete_=True, type='AutocastOptimWrapper', optimizer=dict(type='SGD', lr=5e-4))
param_scheduler = []
auto_scale_lr = dict(enable=False)
default_hooks = dict(logger=dict(interval=5))


def _optimizer(kind, lr, cut=None, **more):
    entries = dict(type=kind, lr=lr, **more)
    return {**{f'optim_wrapper.optimizer.{key}': value for key, value in entries.items()},
            **({'optim_wrapper.clip_grad.max_norm': cut} if cut else {})}


variants = {
    'sgd_5e-4': _optimizer('SGD', 5e-4, momentum=0.9),
    'sgd_5e-4_cut5': _optimizer('SGD', 5e-4, 5, momentum=0.9),
    'rmsprop_5e-4': _optimizer('RMSprop', 5e-4),
    'adam_5e-4': _optimizer('Adam', 5e-4),
    'adam_1e-3': _optimizer('Adam', 1e-3),
    'adamw_5e-4': _optimizer('AdamW', 5e-4, weight_decay=0.01),
}
