# Training on a few people in photographs, from scratch and from weights of drawn people: COCO's train
# and MPII's test; photographs_tuning_back.py the other way round.
_base_ = './photographs_drawing.py'

val_dataloader = dict(dataset=dict(ann_file='annotations/mpii.json'))
photographs = 'annotations/coco.json'
few = {
    'train_dataloader.dataset.data_root': 'data/photographs/',
    'train_dataloader.dataset.ann_file': photographs,
    'train_dataloader.batch_size': 4,
    'train_cfg.max_epochs': 60,
    'param_scheduler': [dict(_base_.one_cycle, total_steps=60)],
}

variants = {
    '_delete_': True,
    'drawn': {},
    'few': {**few, 'against': 'drawn'},
    'drawn_then_few': {
        **few,
        'start_from': 'drawn',
        'param_scheduler': [dict(_base_.one_cycle, total_steps=60, eta_max=3e-4)],
        'against': ('drawn', 'few'),
    },
}
