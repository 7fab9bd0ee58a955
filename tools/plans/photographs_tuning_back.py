# As photographs_tuning.py: MPII's people train and COCO's test.
_base_ = './photographs_tuning.py'

val_dataloader = dict(dataset=dict(ann_file='annotations/coco.json'))
_back = {'train_dataloader.dataset.ann_file': 'annotations/mpii.json'}
variants = {
    '_delete_': True,
    **_base_.variants,
    'few': {**_base_.variants['few'], **_back},
    'drawn_then_few': {**_base_.variants['drawn_then_few'], **_back},
}
