# MSSPose on MPII with the optimizer that the paper names: SGD at 5e-4 (momentum 0.9: ours), no cut
# of the gradient. With 8 stacks and small batches it diverges in the first steps: docs/recipes.md.
_base_ = '../msspose_hourglass8_mpii.py'

optim_wrapper = dict(optimizer=dict(type='SGD', momentum=0.9))
