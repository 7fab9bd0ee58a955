# Loaders of one person per sample, for every data set; test as val.
_base_ = '../pipelines/topdown_256x256.py'

train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(data_mode='topdown', pipeline={{_base_.train_pipeline}}))
val_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(data_mode='topdown', test_mode=True, pipeline={{_base_.val_pipeline}}))
test_dataloader = val_dataloader
