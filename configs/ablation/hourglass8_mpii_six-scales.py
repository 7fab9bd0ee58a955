# Row 1, tested with six scales averaged.
_base_ = './hourglass8_mpii.py'

model = dict(test_cfg=dict(multi_scale=True))
