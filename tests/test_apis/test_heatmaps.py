"""All heatmaps of a person: those that are decoded are the last, whatever the network."""

import cv2
import numpy as np
import pytest
import tiny_run
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from mspose_plugin.apis.heatmaps import overlay
from mspose_plugin.apis.predictor import PosePredictor
from mspose_plugin.utils.errors import InputError

BOX = [3.0, 4, 50, 60]
HEADS = dict(
    stacks=("model['backbone'].update(num_stacks=3)", ['stack 1', 'stack 2', 'stack 3']),
    regression=(
        "model['backbone'].update(context='image', num_stacks=2)\n"
        "model['head'].update(type='MSRHead', channels=8, context_channels=3, input_stacks=2)",
        ['stack 1', 'stack 2', 'regression'],
    ),
    levels=("model['backbone'].update(levels=(1, ))", ['stack 1']),
    mmpose=(
        "model.update(backbone=dict(type='ResNet', depth=18), head=dict(type='HeatmapHead', "
        "in_channels=512, out_channels=16, deconv_out_channels=(8, 8, 8), "
        "deconv_kernel_sizes=(4, 4, 4), decoder=codec))",
        ['heatmaps'],
    ),
    mlpe=(
        "model.update(backbone=dict(type='ResNet', depth=18, out_indices=(0, 1, 2, 3)), "
        "neck=dict(type='MultiLevelNeck', in_channels=(64, 128, 256, 512), channels=8), "
        "head=dict(type='MLPEHead', num_keypoints=16, channels=8, decoder=dict(codec, sigma=2.6)))",
        ['levels', 'fine network'],
    ),
)


def build(folder, more='', **options):
    """Return a predictor of the tiny network with other entries, of random weights."""
    data = folder / 'mpii'
    if not data.exists():
        tiny_run.write_mpii(data)
    more += "\ndataset_type = 'ZeroBasedMpiiDataset'"
    config = tiny_run.write_config(folder / 'other.py', data, more)
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(config).model)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.2)
    torch.save(dict(state_dict=model.state_dict()), folder / 'other.pth')
    return PosePredictor(str(config), str(folder / 'other.pth'), device='cpu', **options)


@pytest.fixture
def photo(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (80, 96, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / 'photo.png'), noise)
    return str(tmp_path / 'photo.png')


@pytest.mark.parametrize('name', HEADS)
@pytest.mark.parametrize('flip', [True, False])
def test_the_last_ones_are_decoded(name, flip, tmp_path, photo):
    more, expected = HEADS[name]
    predictor = build(tmp_path, more, test_cfg=dict(output_heatmaps=True, flip_test=flip))
    found = predictor.all_heatmaps(photo, BOX)
    assert list(found.predictions) == expected
    last = found.predictions[expected[-1]][-1]
    result = predictor(photo, [BOX])
    assert np.allclose(last, result.heatmaps[0], atol=1e-5)
    assert np.allclose(found.crop, result.crops[0])
    assert found.image.shape == (64, 64, 3) and found.image.std() > 10
    assert found.names == result.names
    elbow = found.of('left_elbow')
    k = result.names.index('left_elbow')
    assert np.array_equal(elbow[expected[-1]][-1], last[k])
    with pytest.raises(InputError, match='elbw'):
        found.of('elbw')


def test_levels_are_coarse_to_fine(tmp_path, photo):
    found = build(tmp_path, HEADS['regression'][0]).all_heatmaps(photo)
    for levels in found.predictions.values():
        assert [level.shape for level in levels] == [(16, 2 * n, 2 * n) for n in (1, 2, 4, 8)]
    assert found.crop.tolist() == [-12, -20, 108, 100]  # the whole image, padded to a square


def test_before_and_after_regression_differ(tmp_path, photo):
    found = build(tmp_path, HEADS['regression'][0]).all_heatmaps(photo, BOX).predictions
    assert np.abs(found['stack 2'][-1] - found['regression'][-1]).max() > 1e-3
    with_regression = build(tmp_path, HEADS['regression'][0])
    with_regression.model.head.refine = False
    assert list(with_regression.all_heatmaps(photo, BOX).predictions) == ['stack 1', 'stack 2']


def test_a_network_without_heatmaps(tmp_path, photo):
    class Coordinates(torch.nn.Module):
        def forward(self, feats):
            return torch.zeros(1, 16, 128), torch.zeros(1, 16, 128)

    predictor = build(tmp_path)
    predictor.model.head = Coordinates()
    with pytest.raises(InputError, match='Coordinates predicts no heatmaps'):
        predictor.all_heatmaps(photo)


def test_nothing_to_look_at(tmp_path, photo):
    predictor = build(tmp_path, detector=lambda image: [])
    with pytest.raises(InputError, match='give a box'):
        predictor.all_heatmaps(photo)
    with pytest.raises(InputError, match='none.png'):
        predictor.all_heatmaps('none.png')
    with pytest.raises(InputError, match='N, 4'):
        predictor.all_heatmaps(photo, [5, 5, 1, 1])


def test_an_overlay_shows_where_the_heatmap_is():
    image = np.full((64, 64, 3), 128, np.uint8)
    heatmap = np.zeros((8, 8), np.float32)
    heatmap[2, 5] = 1
    picture = overlay(image, heatmap).astype(int)
    red = picture[..., 2] > picture[..., 0]
    assert red[16:24, 40:48].all() and red.sum() == 64


def test_trials_of_conditional_testing(tmp_path, photo):
    """What was tried, and what of it the result is the mean of."""
    test_cfg = dict(conditional=dict(thresholds=9.0, agreement=9.0), output_trials=True)
    predictor = build(tmp_path, test_cfg=test_cfg)
    result = predictor(photo, [BOX, [0, 0, 90, 70]])
    trials = result.trials
    assert trials.keypoints.shape == (2, 5, 16, 2)
    plain = build(tmp_path)(photo, [BOX])
    assert np.allclose(trials.keypoints[0, 0], plain.keypoints[0], atol=1e-3)
    assert np.allclose(trials.crops[0, 0], predictor.all_heatmaps(photo, BOX).crop, atol=1e-3)
    positive = trials.scores > 0
    weights = np.where(trials.counts, trials.scores, 0)
    mean = (weights[..., None] * trials.keypoints).sum(1) / weights.sum(1)[..., None].clip(1e-9)
    decided = positive.any(1)  # the rest is the most confident trial
    assert decided.sum() > 16
    assert np.allclose(mean[decided], result.keypoints[decided], atol=0.01)
    assert (trials.counts <= positive)[:, :, decided.all(0)].all()
    assert plain.trials is None and predictor(photo, []).trials is None
