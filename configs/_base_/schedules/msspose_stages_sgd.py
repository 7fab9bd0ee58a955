# MSSPose §4.1 taken literally: SGD at 5e-4. The momentum is ours. Without a cut of the gradient the
# summed loss (Eq. 1) trains, but slowly: docs/recipes.md.
_base_ = './msspose_stages.py'

optim_wrapper = dict(optimizer=dict(type='SGD', momentum=0.9))
