# FLIC: examples.mat and images/ as published, in data/flic.
_base_ = '../pipelines/topdown_256x256.py'

# MMPose's inferencer reads the first two
dataset_type = 'FlicDataset'
data_mode = 'topdown'
data_root = 'data/flic/'

train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_mode=data_mode,
        ann_file='examples.mat',
        split='train',
        data_prefix=dict(img='images/'),
        pipeline={{_base_.train_pipeline}}))
val_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_mode=data_mode,
        ann_file='examples.mat',
        split='test',
        data_prefix=dict(img='images/'),
        test_mode=True,
        pipeline={{_base_.val_pipeline}}))
test_dataloader = val_dataloader

val_evaluator = dict(type='FlicPCK')
test_evaluator = val_evaluator
