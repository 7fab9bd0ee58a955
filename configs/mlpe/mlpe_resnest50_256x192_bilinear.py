# Row b of MLPE's ablation: bilinear up-sampling in place of transposed convolutions.
_base_ = './mlpe_resnest50_256x192.py'

model = dict(neck=dict(upsample='bilinear'))
