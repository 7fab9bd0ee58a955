# Row 2, after stage 1: + multi-scale supervision.
_base_ = './hourglass8_mpii.py'

model = dict(backbone=dict(levels=(8, 4, 2, 1)))
