# Row a of MLPE's ablation: multi-level and fine network alone. COCO val2017 (paper): AP 70.1.
_base_ = './b_enhancement.py'

model = dict(neck=dict(feature_enhancement=False))
