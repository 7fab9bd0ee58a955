# What augmentation, the number of drawn people and the size of the network are worth on photographs,
# with as many steps each.
_base_ = './photographs_drawing.py'


def _pipeline(*steps):
    pipeline = [*_base_.pre_transform, *steps, _base_.target, *_base_.last_transform]
    return {'train_dataloader.dataset.pipeline': pipeline, 'against': 'all'}


def _people(count):
    return {
        'train_dataloader.dataset.indices': count,
        'train_cfg.max_epochs': 16000 // count,
        'param_scheduler': [dict(_base_.one_cycle, total_steps=16000 // count)],
        'against': 'all',
    }


variants = {
    '_delete_': True,
    'all': {},
    'no_masking': _pipeline(*_base_.augmentation, _base_.crop, _base_.colours),
    'no_colours': _pipeline(*_base_.augmentation, _base_.crop, _base_.masking),
    'no_boxes': _pipeline(_base_.load, _base_.flip, _base_.crop, _base_.masking, _base_.colours),
    'no_flip': _pipeline(
        _base_.wide_boxes, _base_.load, _base_.crop, _base_.masking, _base_.colours),
    'people_250': _people(250),
    'people_1000': _people(1000),
    'channels_32': {'model.backbone.channels': 32, 'against': 'all'},
    'channels_128': {'model.backbone.channels': 128, 'against': 'all'},
    'stacks_2': {'model.backbone.num_stacks': 2, 'against': 'all'},
}
