# princeton-vl/pytorch_stacked_hourglass, 8 stacks; weights by tools/convert_checkpoint.py.
_base_ = '../_base_/hourglass_mpii.py'
