# MLPE's release: Adam, 5e-4, weight decay 1e-5, halved every 6 epochs, 50 epochs. The total batch
# size, 32 (12 at 384x288), is ours.
_base_ = '../default_runtime.py'

train_cfg = dict(by_epoch=True, max_epochs=50, val_interval=1)
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='Adam', lr=5e-4, weight_decay=1e-5))
param_scheduler = [dict(type='StepLR', step_size=6, gamma=0.5, by_epoch=True)]
auto_scale_lr = dict(enable=False, base_batch_size=32)

default_hooks = dict(checkpoint=dict(save_best='coco/AP'))
