# princeton-vl/pytorch_stacked_hourglass, 2 stacks; weights by tools/convert_checkpoint.py.
_base_ = './princeton_hg8_mpii.py'

model = dict(backbone=dict(num_stacks=2))
