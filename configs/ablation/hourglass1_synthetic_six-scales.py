# Row 1 on synthetic people, tested with six scales averaged.
_base_ = './hourglass1_synthetic.py'

model = dict(test_cfg=dict(multi_scale=True))
