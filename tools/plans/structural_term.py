# The structure-aware loss of an MSS-net of 64 channels, 1000 steps, every row from the same start: its
# weight, what it sees together (pairs, triplets, or both as in the paper), and the readings of Eq. 1
# and 2 that the paper leaves open (norm, combination of a group's heatmaps, down-sampling of the
# target). Every row differs from the default in one thing.
_base_ = './ablation_msspose.py'

model = dict(backbone=dict(channels=64))

# every joint with the next one towards the trunk
pairs = ((0, 1), (1, 2), (2, 3), (3, 2), (4, 3), (5, 4), (6, 7), (7, 9), (8, 7), (9, 7), (10, 11),
         (11, 12), (12, 11), (13, 14), (14, 13), (15, 14))
# elbows, knees, hips and thorax with both their neighbours; the other joints alone
triplets = ((0, ), (0, 1, 2), (2, 1, 3), (3, 4, 2), (3, 4, 5), (5, ), (6, ), (7, 6, 9), (8, ), (9, ),
            (10, ), (10, 11, 12), (12, ), (13, ), (13, 14, 15), (15, ))


def _loss(**changes):
    return {'model.head.loss': dict(_base_.structure, **changes), 'against': ('none', 'default')}


def _groups(groups):
    return {
        'model.head.loss': dict(type='StructureAwareLoss', groups=groups, alpha=0.1),
        'against': ('none', 'default'),
    }


variants = {
    '_delete_': True,
    'none': {},
    'default': {**_loss(), 'against': 'none'},
    'alpha_1e-2': _loss(alpha=0.01),
    'alpha_3e-2': _loss(alpha=0.03),
    'alpha_5e-2': _loss(alpha=0.05),
    'alpha_3e-1': _loss(alpha=0.3),
    'alpha_1': _loss(alpha=1.),
    'pairs': _groups(pairs),
    'triplets': _groups(triplets),
    'l2': _loss(norm='l2'),
    'max': _loss(combine='max'),
    'l2_max': _loss(norm='l2', combine='max'),
    'average_target': {**_loss(), 'model.head.downsample': 'average'},
    'bilinear_target': {**_loss(), 'model.head.downsample': 'bilinear'},
}
