# Row 1: the hourglass, supervised at the finest level only.
_base_ = './2_mss.py'

model = dict(backbone=dict(levels=(1, )))
