# Row 1 on synthetic people, tested with six scales averaged.
_base_ = './1_hourglass.py'

model = dict(test_cfg=dict(multi_scale=True))
