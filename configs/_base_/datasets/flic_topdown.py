# FLIC: examples.mat and images/ as published, in data/flic.
_base_ = './loaders.py'

# MMPose's inferencer reads the first two
dataset_type = 'FlicDataset'
data_mode = 'topdown'
data_root = 'data/flic/'

published = dict(
    type=dataset_type,
    data_root=data_root,
    ann_file='examples.mat',
    data_prefix=dict(img='images/'))
train_dataloader = dict(dataset=dict(split='train', **published))
val_dataloader = dict(dataset=dict(split='test', **published))
test_dataloader = val_dataloader

val_evaluator = dict(type='FlicPCK')
test_evaluator = val_evaluator
