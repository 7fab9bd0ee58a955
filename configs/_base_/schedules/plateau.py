# MSSPose §4.1: 5e-4, divided by 5 when validation has not improved for 8 epochs; 150 epochs for the
# MSS-net. Ours: Adam, for a total batch of 8. The paper says "SGD", with which 8 stacks diverge or
# hardly learn: docs/recipes.md.
train_loop = dict(by_epoch=True, max_epochs=150, val_interval=1)

optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=5e-4))
# the 8th epoch that is no better than the best is more than patience=7
plateau = dict(
    type='ReduceOnPlateauLR', monitor='PCKh', rule='greater', factor=0.2, patience=7,
    threshold=0.)
param_scheduler = [plateau]
auto_scale_lr = dict(enable=True, base_batch_size=8)
