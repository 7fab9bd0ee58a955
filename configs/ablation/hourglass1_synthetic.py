# Row 1 of the paper's ablation (§4.3) on synthetic people, after stage 1: the stacked hourglass.
_base_ = '../demo/msspose_synthetic.py'

model = dict(backbone=dict(levels=(1, )))
