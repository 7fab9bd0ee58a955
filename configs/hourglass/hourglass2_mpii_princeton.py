# princeton-vl/pytorch_stacked_hourglass, 2 stacks; weights by mspose convert.
_base_ = './hourglass8_mpii_princeton.py'

model = dict(backbone=dict(num_stacks=2))
