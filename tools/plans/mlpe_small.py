# MLPE as released against our variant: a quarter of the width from random weights at 128x96, 1000
# steps of 8 synthetic people, AdamW with one cycle, float32. Data: tools/make_synthetic.py
# --layout coco --train 5000 --val 300 --out work_dirs/mlpe_small/data
# Each variant after the first differs from ours in one thing; the last in all of them.
_base_ = '../../configs/demo/mlpe_synthetic.py'

data_root = 'work_dirs/mlpe_small/data/'
train_dataloader = dict(dataset=dict(data_root=data_root, indices=8000))
val_dataloader = dict(dataset=dict(data_root=data_root))
val_evaluator = dict(ann_file=f'{data_root}annotations/person_keypoints_val2017.json')
optim_wrapper = dict(type='OptimWrapper')
train_cfg = dict(max_epochs=1)
param_scheduler = [dict(_base_.one_cycle, total_steps=1)]

_skips = {'model.neck.lateral_skips': False}
_occluded = {'model.head.occluded_in_levels': 'empty'}
_normalisation = {
    'model.data_preprocessor.mean': [122.7717, 115.9465, 102.9801],
    'model.data_preprocessor.std': [255., 255., 255.],
}
# a kernel of 21 for heatmaps of twice the size
_entries = dict(cell_offset=0.5, unbiased=False, refine='second_peak', blur_kernel_size=11)
_target = _base_.train_pipeline.index(_base_.target)
_coding = {f'{codec}.{key}': value for key, value in _entries.items()
           for codec in ('model.head.decoder',
                         f'train_dataloader.dataset.pipeline.{_target}.encoder')}
variants = dict(
    ours={},
    no_skips=_skips,
    occluded_empty=_occluded,
    mean_only=_normalisation,
    second_peak=_coding,
    released={**_skips, **_occluded, **_normalisation, **_coding})
