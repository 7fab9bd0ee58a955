# The optimizers of recipes_hourglass8.py by the clock, in batches of 32: mspose gpu-check trains them
# for as many minutes as it has. The rate rises and falls once.
_base_ = ['./recipes_hourglass8.py', '../../configs/_base_/schedules/timed.py']

seeds = (0, )
folder = 'work_dirs/gpu_check/data'
data_root = f'{folder}/'
synthetic = dict(out=folder, layout='mpii', train=12000, val=1000)

train_dataloader = dict(
    batch_size=32, num_workers=4, sampler=_base_.timed_sampler,
    dataset=dict(data_root=data_root, indices=None))
val_dataloader = dict(
    batch_size=64, num_workers=4,
    dataset=dict(
        data_root=data_root, headbox_file=f'{data_root}annotations/mpii_gt_val.mat', indices=None))
test_dataloader = val_dataloader

env_cfg = dict(cudnn_benchmark=True)
train_cfg = _base_.timed_loop
param_scheduler = None
default_hooks = dict(
    _base_.timed_hooks, checkpoint=dict(interval=-1, save_last=False, save_best=None))
log_processor = _base_.timed_log
