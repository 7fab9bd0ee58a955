# MSSPose §4.1 taken literally: SGD at 5e-4 (momentum 0.9: ours), no cut of the gradient. With 8
# stacks and small batches it diverges in the first steps: docs/recipes.md.
_base_ = './msspose_stages.py'

optim_wrapper = dict(optimizer=dict(type='SGD', momentum=0.9))
