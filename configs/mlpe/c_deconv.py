# Row c of MLPE's ablation: + transposed convolutions. COCO val2017 (paper): AP 70.4.
_base_ = [
    '../_base_/models/mlpe_resnest50.py',
    '../_base_/datasets/coco_256x192.py',
    '../_base_/schedules/adam_step.py',
]

model = dict(head=dict(decoder=_base_.codec))
