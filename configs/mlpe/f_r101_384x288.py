# Row f of MLPE's ablation: ResNeSt-101 at 384x288; its stem is twice as wide. COCO (paper): AP 73.7
# on val2017, 72.8 on test-dev.
_base_ = './e_384x288.py'

model = dict(
    backbone=dict(
        depth=101, stem_channels=128, init_cfg=dict(checkpoint='mmcls://resnest101')))
