# What the structural term sees together: pairs, triplets, or both as in the paper.
_base_ = './ablation_msspose.py'

# every joint with the next one towards the trunk
pairs = ((0, 1), (1, 2), (2, 3), (3, 2), (4, 3), (5, 4), (6, 7), (7, 9), (8, 7), (9, 7), (10, 11),
         (11, 12), (12, 11), (13, 14), (14, 13), (15, 14))
# elbows, knees, hips and thorax with both their neighbours; the other joints alone
triplets = ((0, ), (0, 1, 2), (2, 1, 3), (3, 4, 2), (3, 4, 5), (5, ), (6, ), (7, 6, 9), (8, ), (9, ),
            (10, ), (10, 11, 12), (12, ), (13, ), (13, 14, 15), (15, ))


def _groups(groups):
    return {
        'model.head.loss': dict(type='StructureAwareLoss', groups=groups, alpha=0.1),
        'against': 'none',
    }


variants = {
    '_delete_': True,
    'none': {},
    'pairs': _groups(pairs),
    'triplets': _groups(triplets),
    'both': {
        'model.head.loss': _base_.structure, 'against': ('none', 'pairs', 'triplets')},
}
