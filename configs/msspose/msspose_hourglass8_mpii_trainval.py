# MSSPose on MPII's training and validation persons together [ours], for the test set. Validation
# persons are learnt here: their PCKh is no result, it only tells the schedule when to lower the
# learning rate, and chooses no checkpoint.
_base_ = '../msspose_hourglass8_mpii.py'

train_dataloader = dict(dataset=dict(ann_file='annotations/mpii_trainval.json'))
default_hooks = dict(checkpoint=dict(save_best=None))
