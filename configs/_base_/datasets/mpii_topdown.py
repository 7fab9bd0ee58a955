# MPII Human Pose, annotation files as MMPose prepares them; data/mpii/{images,annotations}.
_base_ = './loaders.py'

# MMPose's inferencer reads the first two
dataset_type = 'ZeroBasedMpiiDataset'
data_mode = 'topdown'
data_root = 'data/mpii/'

train_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/mpii_train.json',
        data_prefix=dict(img='images/')))
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/mpii_val.json',
        headbox_file=f'{data_root}annotations/mpii_gt_val.mat',
        data_prefix=dict(img='images/')))
test_dataloader = val_dataloader

val_evaluator = dict(type='PCKhAUC')
test_evaluator = val_evaluator
