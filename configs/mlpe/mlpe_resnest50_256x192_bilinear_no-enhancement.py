# Row a of MLPE's ablation: bilinear up-sampling, no feature enhancement.
_base_ = './mlpe_resnest50_256x192.py'

model = dict(neck=dict(upsample='bilinear', feature_enhancement=False))
