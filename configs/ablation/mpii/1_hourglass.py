# Row 1: the stacked hourglass, supervised at the finest level only. The paper tests this row alone
# with six scales: --cfg-options model.test_cfg.multi_scale=True
_base_ = './2_mss.py'

model = dict(backbone=dict(levels=(1, )))
