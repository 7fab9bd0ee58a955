# Any joints in COCO's format. A config adds metainfo, annotation files and image folders: mspose
# check-data --config.
_base_ = './loaders.py'

# MMPose's inferencer reads the first two
dataset_type = 'CocoDataset'
data_mode = 'topdown'

train_dataloader = dict(dataset=dict(type=dataset_type))
val_dataloader = dict(dataset=dict(type=dataset_type))
test_dataloader = val_dataloader

val_evaluator = [dict(type='CocoMetric'), dict(type='BoxPCK')]
test_evaluator = val_evaluator
