# For short trainings on a CPU: AdamW, one cycle of the learning rate, bfloat16 where it is fast.
train_loop = dict(by_epoch=True, max_epochs=2, val_interval=1)

optim_wrapper = dict(
    type='AutocastOptimWrapper',
    optimizer=dict(type='AdamW', lr=3e-3, weight_decay=1e-4, fused=True))
one_cycle = dict(
    type='OneCycleLR', eta_max=3e-3, pct_start=0.1, total_steps=train_loop['max_epochs'],
    convert_to_iter_based=True)
param_scheduler = [one_cycle]
auto_scale_lr = dict(enable=False, base_batch_size=8)
