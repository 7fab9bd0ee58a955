# bearpaw/pytorch-pose, 1 stack; weights: hourglass://bearpaw_hg1
_base_ = './hourglass8_mpii_bearpaw.py'

model = dict(backbone=dict(num_stacks=1))
