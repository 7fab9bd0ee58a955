"""``mspose check-env --zoo``: states and reasons; the whole zoo takes too long for a test."""

import json
from importlib.util import find_spec

import pytest

from mspose_plugin.cli import zoo
from mspose_plugin.utils.mmcv_ops import Operators

SMALL = 'td-hm_litehrnet-18_8xb64-210e_coco-256x192'
LIFTER = 'image-pose-lift_tcn_8xb64-200e_h36m'


def config(name):
    (path,) = (path for path in zoo.configs() if path.stem == name)
    return path


def test_every_published_config_is_there():
    paths = zoo.configs()
    assert len(paths) > 400 and not [path for path in paths if '_base_' in path.parts]


@pytest.mark.parametrize(
    'name',
    [
        SMALL,
        LIFTER,
        'rtmpose-t_8xb256-420e_coco-256x192',
        'rtmo-s_8xb32-600e_coco-640x640',
        'video-pose-lift_tcn-27frm-semi-supv_8xb64-200e_h36m',  # without a train_dataloader
    ],
)
def test_runs(name):
    assert zoo.examine(config(name), 'cpu') == dict(state='runs', why='')


def test_vitpose_needs_mmpretrain():
    found = zoo.examine(config('td-hm_ViTPose-small_8xb64-210e_coco-256x192'), 'cpu')
    if find_spec('mmpretrain'):
        assert found == dict(state='runs', why='')
    else:
        assert found == dict(state='fails', why='needs the package mmpretrain')


def unavailable():
    Operators('mmcv._ext').furthest_point_sampling_forward()


def absent_package():
    import albumentations.no_such_module  # noqa: F401


@pytest.mark.parametrize(
    'error, why',
    [
        (unavailable, 'needs the compiled operator furthest_point_sampling_forward'),
        (absent_package, 'needs the package albumentations'),
        (lambda: open('no/such.npy'), 'needs the file no/such.npy'),
        (lambda: int('a'), "ValueError: invalid literal for int() with base 10: 'a'"),
    ],
)
def test_reasons(error, why):
    with pytest.raises(Exception) as e:
        error()
    assert zoo.reason(e.value) == why


def test_one_cannot_take_the_others_down(tmp_path):
    broken = tmp_path / 'broken.py'
    broken.write_text("__import__('os')._exit(7)")
    report = zoo.check([broken, config(LIFTER)], 2, 'cpu')
    (bad, good) = sorted(report['configs'].values(), key=lambda row: row['state'])
    assert good['state'] == 'runs' and 'died with status 7' in bad['why']
    assert report['versions']['mmpose']


def test_command(capsys):
    assert zoo.main([LIFTER], 1, 'cpu', True) == 0
    report = json.loads(capsys.readouterr().out)
    assert [row['state'] for row in report['configs'].values()] == ['runs']
    zoo.show(report)
    assert 'body_3d_keypoint/image_pose_lift' in capsys.readouterr().out
