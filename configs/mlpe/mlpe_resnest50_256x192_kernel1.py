# Row d of MLPE's ablation: levels predicted with a receptive field of 1 in place of 3.
_base_ = './mlpe_resnest50_256x192.py'

model = dict(head=dict(prediction_kernel=1))
