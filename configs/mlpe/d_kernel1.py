# Row d of MLPE's ablation: receptive field 1. COCO val2017 (paper): AP 70.2.
_base_ = './c_deconv.py'

model = dict(head=dict(prediction_kernel=1))
