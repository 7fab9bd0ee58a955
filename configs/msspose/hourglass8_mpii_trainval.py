# MSSPose on MPII's training and validation persons together, for the test set (which persons the
# paper's test figures were trained on, it does not say). PCKh of the validation persons, who are
# learnt here, only tells the schedule when to lower the learning rate, and chooses no checkpoint.
_base_ = '../msspose_hourglass8_mpii.py'

train_dataloader = dict(dataset=dict(ann_file='annotations/mpii_trainval.json'))
default_hooks = dict(checkpoint=dict(save_best=None))
