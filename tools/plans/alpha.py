# The weight of the structural term: the MSS-net, 1000 steps, every alpha from the same start.
_base_ = './ablation_msspose.py'


def _alpha(value):
    return {'model.head.loss': dict(_base_.structure, alpha=value), 'against': 'none'}


variants = {
    '_delete_': True,
    'none': {},
    '0.01': _alpha(0.01),
    '0.03': _alpha(0.03),
    '0.1': _alpha(0.1),
    '0.3': _alpha(0.3),
    '1': _alpha(1.),
}
