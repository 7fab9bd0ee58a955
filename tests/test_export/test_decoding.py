"""Decoding in a graph against the codecs that it stands for."""

import numpy as np
import pytest
import torch
from mmpose.models.heads import SimCCHead
from mmpose.registry import KEYPOINT_CODECS

from mspose_plugin.export.decoding import decoder
from mspose_plugin.utils.errors import InputError

SIZES = dict(input_size=(64, 96), heatmap_size=(16, 24), sigma=2)
CODECS = dict(
    msra=dict(type='MSRAHeatmap', **SIZES),
    msra_dark=dict(type='MSRAHeatmap', unbiased=True, **SIZES),
    udp=dict(type='UDPHeatmap', **SIZES),
    plain=dict(type='GaussianHeatmap', cell_offset=0.375, **SIZES),
    quarter=dict(type='GaussianHeatmap', cell_offset=0.5, refine='quarter', **SIZES),
    second=dict(type='GaussianHeatmap', refine='second_peak', blur_kernel_size=7, **SIZES),
    dark=dict(type='GaussianHeatmap', refine='dark', blur_kernel_size=11, **SIZES),
)


@pytest.fixture(scope='module')
def maps():
    """Return heatmaps: Gaussians anywhere, on borders and corners too, with noise; one of noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:24, :16]
    centres = np.concatenate(
        [rng.uniform((0, 0), (15, 23), (60, 2)), [[0, 0], [15, 23], [0, 12], [8, 23], [1, 1]]]
    )
    clean = np.exp(-((x - centres[:, :1, None]) ** 2 + (y - centres[:, 1:, None]) ** 2) / 8)
    noisy = clean + 0.02 * rng.standard_normal(clean.shape)
    noisy[0] = rng.standard_normal(noisy[0].shape)
    return torch.tensor(noisy.reshape(5, 13, 24, 16), dtype=torch.float32)


@pytest.mark.parametrize('name', CODECS)
def test_it_decodes_as_the_codec_does(name, maps):
    codec = KEYPOINT_CODECS.build(CODECS[name])
    keypoints, scores = decoder(CODECS[name])(maps)
    for image, found, confidence in zip(maps.numpy(), keypoints.numpy(), scores.numpy()):
        expected, expected_scores = codec.decode(image)
        np.testing.assert_allclose(found, expected[0], atol=0.01)
        np.testing.assert_allclose(confidence, expected_scores[0], atol=1e-6)


@pytest.mark.parametrize('name', [name for name in CODECS if name != 'udp'])
def test_an_empty_heatmap(name, maps):
    """As the codecs have it: cell (-1, -1); that of UDP reads beyond the map there."""
    empty = torch.full_like(maps[:1], -0.5)
    expected, expected_scores = KEYPOINT_CODECS.build(CODECS[name]).decode(empty[0].numpy())
    keypoints, scores = decoder(CODECS[name])(empty)
    np.testing.assert_allclose(keypoints[0], expected[0])
    np.testing.assert_allclose(scores[0], expected_scores[0])


def test_simcc():
    cfg = dict(type='SimCCLabel', input_size=(64, 96), sigma=4.0, simcc_split_ratio=2.0)
    torch.manual_seed(0)
    along_x, along_y = torch.randn(3, 5, 128), torch.randn(3, 5, 192)
    along_y[0, 0] = -1
    keypoints, scores = decoder(cfg)(along_x, along_y)
    head = SimCCHead.__new__(SimCCHead)
    torch.nn.Module.__init__(head)
    head.decoder = KEYPOINT_CODECS.build(cfg)
    for i, expected in enumerate(head.decode((along_x, along_y))):
        np.testing.assert_allclose(keypoints[i], expected.keypoints[0])
        np.testing.assert_allclose(scores[i], expected.keypoint_scores[0])


@pytest.mark.parametrize(
    'cfg, words',
    [
        (dict(type='UDPHeatmap', heatmap_type='combined', **SIZES), 'heatmap_type'),
        (dict(type='SimCCLabel', input_size=(64, 96), use_dark=True), 'use_dark'),
    ],
)
def test_what_has_no_place_in_a_graph(cfg, words):
    with pytest.raises(InputError, match=words):
        decoder(cfg)
