# Row b of MLPE's ablation: + feature enhancement. COCO val2017 (paper): AP 70.2.
_base_ = './c_deconv.py'

model = dict(neck=dict(upsample='bilinear'))
