# MSSPose §4.1: SGD, 5e-4, divided by 5 when validation has not improved for 8 epochs; 150 epochs
# for the MSS-net. Ours: momentum, total batch size, and the clipping without which training with the
# summed loss (Eq. 1) at this learning rate diverges.
_base_ = '../default_runtime.py'

train_cfg = dict(by_epoch=True, max_epochs=150, val_interval=1)

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=5e-4, momentum=0.9),
    clip_grad=dict(max_norm=5))
param_scheduler = [
    dict(type='ReduceOnPlateauLR', monitor='PCKh', rule='greater', factor=0.2, patience=8)
]
auto_scale_lr = dict(enable=False, base_batch_size=8)
