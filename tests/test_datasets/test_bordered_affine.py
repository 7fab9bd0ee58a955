"""Crops with a coloured border against OpenCV's own."""

import cv2
import numpy as np
import pytest
from mmpose.datasets.transforms import TopdownAffine
from mmpose.structures.bbox import get_udp_warp_matrix, get_warp_matrix

from mspose_plugin.datasets.transforms import BorderedTopdownAffine

BORDER = (102.9801, 115.9465, 122.7717)


def results(dtype=np.uint8, center=(20.0, 70.0), scale=(90.0, 120.0), rotation=30.0):
    """Return a person at the edge of an image."""
    image = np.random.default_rng(0).integers(0, 256, (80, 100, 3)).astype(np.uint8)
    image = cv2.GaussianBlur(image, (5, 5), 0).astype(dtype)
    return dict(
        img=image,
        bbox_center=np.float32([center]),
        bbox_scale=np.float32([scale]),
        bbox_rotation=np.float32([rotation]),
        keypoints=np.float32([[[10, 60], [40, 75]]]),
    )


@pytest.mark.parametrize('use_udp', [False, True])
@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
@pytest.mark.parametrize('border', [BORDER, (255.0, 255.0, 255.0), (0.0, 10.0, 0.0)])
def test_same_as_opencv_with_a_border_value(use_udp, dtype, border):
    out = BorderedTopdownAffine((48, 64), use_udp, border).transform(results(dtype))
    matrix = (get_udp_warp_matrix if use_udp else get_warp_matrix)(
        np.float32([20, 70]), np.float32([90, 120]), 30.0, output_size=(48, 64)
    )
    want = cv2.warpAffine(results(dtype)['img'], matrix, (48, 64), borderValue=border)
    assert out['img'].dtype == dtype
    difference = np.abs(out['img'].astype(float) - want)
    assert difference.max() <= 1.5  # coverage is rounded to 255 steps
    assert (np.abs(out['img'] - np.float32(border)).max(-1) < 1).mean() > 0.2  # there is a border


def test_the_rest_is_mmposes():
    want, out = (
        TopdownAffine((48, 64)).transform(results()),
        BorderedTopdownAffine((48, 64), border=BORDER).transform(results()),
    )
    assert out.keys() == want.keys()
    for key in want.keys() - {'img'}:
        assert np.array_equal(out[key], want[key]), key
    black = BorderedTopdownAffine((48, 64)).transform(results())
    assert np.array_equal(black['img'], want['img'])
    inside = results(center=(50.0, 40.0), scale=(30.0, 40.0), rotation=0.0)
    assert np.array_equal(
        BorderedTopdownAffine((48, 64), border=BORDER).transform(dict(inside))['img'],
        TopdownAffine((48, 64)).transform(dict(inside))['img'],
    )


@pytest.mark.parametrize('border', [BORDER, (0.0, 0.0, 0.0)])
def test_a_mirrored_view_gives_the_same_crop(border):
    """What ``RandomFlip`` leaves is no longer the array itself."""
    flipped = results()
    flipped['img'] = np.flip(flipped['img'], 1)
    copied = dict(flipped, img=flipped['img'].copy())
    affine = BorderedTopdownAffine((48, 64), border=border)
    assert np.array_equal(affine(flipped)['img'], affine(copied)['img'])
