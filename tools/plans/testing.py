# Conditional testing of one MSS-net of 64 channels against plain testing and the mean of several
# scales. With a threshold that nothing reaches every person is tried as often as there are
# perturbations: as many passes as 1 + that many scales. Passes count the mirrored images, too.
_base_ = './ablation_msspose.py'

model = dict(backbone=dict(channels=64))

_count = {'val_evaluator': [dict(type='PCKhAUC'), dict(type='TestingCost')]}
_four = ((-0.08, 0., 1.), (0.08, 0., 1.), (0., -0.08, 1.), (0., 0.08, 1.))


def _scales(*scales):
    return {
        **_count,
        'weights_of': 'mss',
        'against': 'mss',
        'model.test_cfg.multi_scale': dict(scales=scales),
    }


def _conditional(threshold, perturbations, *against):
    return {
        **_count,
        'weights_of': 'mss',
        'against': ('mss', *against),
        'model.test_cfg.conditional': dict(thresholds=threshold, perturbations=perturbations),
    }


variants = {
    '_delete_': True,
    'mss': {},
    'no_flip': {'weights_of': 'mss', 'model.test_cfg.flip_test': False},
    'three_scales': _scales(0.9, 1., 1.1),
    'six_scales': _scales(0.8, 0.9, 1., 1.1, 1.2, 1.3),
    'shifts_2': _conditional(100., ((-0.08, 0., 1.), (0.08, 0., 1.)), 'three_scales'),
    'shifts_5': _conditional(100., (*_four, (0., 0., 1.15)), 'six_scales'),
    'below_20_percent': _conditional(0.2, _four),
    'below_40_percent': _conditional(0.4, _four),
    'below_60_percent': _conditional(0.6, _four),
}
