# bearpaw/pytorch-pose, 2 stacks; weights: hourglass://bearpaw_hg2
_base_ = './hourglass8_mpii_bearpaw.py'

model = dict(backbone=dict(num_stacks=2))
