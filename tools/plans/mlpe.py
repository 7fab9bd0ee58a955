# Rows a to d of MLPE's ablation and our variants of its network on synthetic people in COCO's format:
# a quarter of the width from random weights at 128x96, 1000 steps of 8.
_base_ = '../../configs/demo/mlpe_synthetic.py'

seeds = (0, 1, 2)
synthetic = dict(out='work_dirs/ablation/data_coco', layout='coco', train=4000, val=1500, seed=7)
data_root = 'work_dirs/ablation/data_coco/'
train_dataloader = dict(dataset=dict(data_root=data_root, indices=8000))
val_dataloader = dict(dataset=dict(data_root=data_root))
val_evaluator = [
    dict(_base_.val_evaluator, ann_file=f'{data_root}annotations/person_keypoints_val2017.json'),
    dict(type='BoxPCK'),
]
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=1)
param_scheduler = [dict(_base_.one_cycle, total_steps=1)]

_released = {'model.neck.lateral_skips': False, 'model.head.occluded_in_levels': 'empty'}
_bilinear = {**_released, 'model.neck.upsample': 'bilinear'}

variants = dict(
    a={**_bilinear, 'model.neck.feature_enhancement': False},
    b=_bilinear,
    c=_released,
    d={**_released, 'model.head.prediction_kernel': 1},
    c_masked={**_released, 'model.head.occluded_in_levels': 'mask', 'against': 'c'},
    c_counted={'model.neck.lateral_skips': False, 'against': ('c', 'c_masked')},
    c_skips={'model.head.occluded_in_levels': 'empty', 'against': 'c'},
    ours={'against': ('c', 'c_counted', 'c_skips')})
