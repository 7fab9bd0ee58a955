# The readings of Eq. 1 and 2 that the paper leaves open, each alone against the defaults: norm and
# combination of a group's heatmaps, down-sampling of the target.
_base_ = './ablation_msspose.py'


def _loss(**changes):
    return {'model.head.loss': dict(_base_.structure, **changes), 'against': 'default'}


variants = {
    '_delete_': True,
    'default': {'model.head.loss': _base_.structure},
    'l2': _loss(norm='l2'),
    'max': _loss(combine='max'),
    'l2_max': _loss(norm='l2', combine='max'),
    'average_target': {**_loss(), 'model.head.downsample': 'average'},
    'bilinear_target': {**_loss(), 'model.head.downsample': 'bilinear'},
}
