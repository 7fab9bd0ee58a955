"""Colour augmentation: each channel by its own factor."""

import numpy as np
import pytest

from mspose_plugin.datasets.transforms import RandomChannelScale
from mspose_plugin.utils.errors import InputError


def test_each_channel_has_a_factor_of_its_own():
    image = np.full((4, 5, 3), 100, np.uint8)
    factors = np.array(
        [RandomChannelScale().transform(dict(img=image))['img'][0, 0] / 100 for _ in range(500)]
    )
    assert (image == 100).all()
    assert factors.min() >= 0.8 and factors.max() <= 1.2
    # uniform: mean 1, standard deviation 0.4 / sqrt(12), channels independent
    assert factors.mean(0) == pytest.approx(1, abs=0.02)
    assert factors.std(0) == pytest.approx(0.4 / 12**0.5, abs=0.01)
    assert np.abs(np.corrcoef(factors.T) - np.eye(3)).max() < 0.15


def test_one_factor_for_all_pixels_and_saturation():
    image = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    out = RandomChannelScale((2.0, 2.0)).transform(dict(img=image))['img']
    assert out.dtype == np.uint8
    assert np.array_equal(out, np.minimum(2 * image.astype(int), 255))
    out = RandomChannelScale((0.5, 0.5)).transform(dict(img=image.astype(np.float32)))['img']
    assert np.array_equal(out, image / 2)


@pytest.mark.parametrize('scale', [(1.2, 0.8), (-1, 1), (1,)])
def test_bad_bounds(scale):
    with pytest.raises(InputError, match='RandomChannelScale: scale=.*: expected'):
        RandomChannelScale(scale)
