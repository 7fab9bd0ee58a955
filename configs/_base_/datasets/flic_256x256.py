# FLIC: examples.mat and images/ as published, in data/flic.
_base_ = './loaders_256x256.py'

# MMPose's inferencer reads the first two
dataset_type = 'FlicDataset'
data_mode = 'topdown'
data_root = 'data/flic/'

_dataset = dict(
    type=dataset_type,
    data_root=data_root,
    ann_file='examples.mat',
    data_prefix=dict(img='images/'))
train_dataloader = dict(dataset=dict(split='train', **_dataset))
val_dataloader = dict(dataset=dict(split='test', **_dataset))
test_dataloader = val_dataloader

val_evaluator = dict(type='FlicPCK')
test_evaluator = val_evaluator
