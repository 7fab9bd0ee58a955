# MLPE as released, ResNeSt-50 at 384x288: row e of the paper's ablation.
_base_ = './mlpe_resnest101_384x288.py'

model = dict(
    backbone=dict(depth=50, stem_channels=64, init_cfg=dict(checkpoint='mmcls://resnest50')))
