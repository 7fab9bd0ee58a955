"""The picture that shows keypoint masking."""

import json

import cv2
import numpy as np
import pytest

import mspose_command


@pytest.fixture
def browse():
    """Return a function that runs the command with arguments."""
    return lambda *args: mspose_command.main(['draw', 'masking', *map(str, args)])


@pytest.fixture
def config(repository, tmp_path):
    """Return a config with two persons in one image, and one keypoint to mask."""
    rng = np.random.default_rng(0)
    (tmp_path / 'images').mkdir()
    cv2.imwrite(str(tmp_path / 'images/1.png'), rng.integers(50, 256, (200, 300, 3), np.uint8))
    people = [
        dict(
            image='1.png',
            center=[x, 100.0],
            scale=0.6,
            joints_vis=[1] * 16,
            joints=(rng.uniform(-25, 25, (16, 2)) + (x, 100)).tolist(),
        )
        for x in (80, 200)
    ]
    (tmp_path / 'ann.json').write_text(json.dumps(people))
    path = tmp_path / 'config.py'
    path.write_text(f'''
_base_ = [
    '{repository}/configs/_base_/datasets/mpii_topdown.py',
    '{repository}/configs/_base_/pipelines/topdown_256x256.py']
masking = dict(type='KeypointMasking', num_keypoints=(1, 1))
pipeline = [
    *_base_.pre_transform, *_base_.augmentation, _base_.crop, masking, _base_.target,
    *_base_.last_transform]
train_dataloader = dict(dataset=dict(
    data_root='{tmp_path}/', ann_file='ann.json', data_prefix=dict(img='images/'),
    pipeline=pipeline))
''')
    return path


def test_grid(browse, config, tmp_path):
    """Three cells of one person: the second and the third differ from the first."""
    browse(config, '--out', tmp_path / 'a.png', '--num', 1, '--columns', 1, '--size', 256)
    grid = cv2.imread(str(tmp_path / 'a.png'))
    assert grid.shape == (256 + 20 + 4, 3 * (256 + 2) + 4, 3)
    cells = [grid[20:276, i * 258 : i * 258 + 256] for i in range(3)]
    assert cells[0].std() > 10
    for cell in cells[1:]:
        share = (cell != cells[0]).any(-1).mean()
        assert 0 < share < 0.04, 'one patch of at most 0.2 of the person'
    browse(config, '--out', tmp_path / 'b.png', '--num', 1, '--columns', 1, '--size', 256)
    np.testing.assert_array_equal(grid, cv2.imread(str(tmp_path / 'b.png')))


@pytest.mark.parametrize(
    'args,message',
    [
        (['--out', 'grid.png', '--num', 9999], 'lower --num'),
        (
            ['--out', 'grid.png', '--cfg-options', 'train_dataloader.dataset.pipeline=[]'],
            'no TopdownAffine in train_dataloader',
        ),
    ],
)
def test_messages(browse, config, args, message, capsys):
    with pytest.raises(SystemExit):
        browse(config, *args)
    assert message in capsys.readouterr().err
