# princeton-vl/pytorch_stacked_hourglass, 2 stacks; weights by tools/convert_checkpoint.py.
_base_ = './hourglass8_mpii_princeton.py'

model = dict(backbone=dict(num_stacks=2))
