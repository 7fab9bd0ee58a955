# bearpaw/pytorch-pose, 1 stack; weights: hourglass://bearpaw_hg1
_base_ = './bearpaw_hg8_mpii.py'

model = dict(backbone=dict(num_stacks=1))
