# bearpaw/pytorch-pose, 2 stacks; weights: hourglass://bearpaw_hg2
_base_ = './bearpaw_hg8_mpii.py'

model = dict(backbone=dict(num_stacks=2))
