# Row e of MLPE's ablation: c at 384x288. COCO val2017 (paper): AP 72.4.
_base_ = [
    '../_base_/models/mlpe_resnest50.py',
    '../_base_/datasets/coco_384x288.py',
    '../_base_/schedules/adam_step.py',
]

model = dict(head=dict(sigmas=(3.8, 2.9, 2.3, 1.7), decoder=_base_.codec))
auto_scale_lr = dict(base_batch_size=12)
