# The weight of the structural term: the MSS-net, 1000 steps, every alpha from the same start.
_base_ = './ablation_msspose.py'


def _alpha(value):
    return {'model.head.loss': dict(_base_.structure, alpha=value), 'against': 'none'}


variants = {
    '_delete_': True,
    'none': {},
    '1e-2': _alpha(0.01),
    '3e-2': _alpha(0.03),
    '1e-1': _alpha(0.1),
    '3e-1': _alpha(0.3),
    '1': _alpha(1.),
}
