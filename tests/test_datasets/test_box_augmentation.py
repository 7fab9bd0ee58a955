"""Random boxes: MMPose's distribution from another generator."""

import numpy as np
from mmpose.datasets.transforms import RandomBBoxTransform
from scipy.stats import ks_2samp

from mspose_plugin.datasets.transforms import FastRandomBBoxTransform


def test_the_distribution_is_mmposes():
    np.random.seed(0)
    want, got = (
        kind._truncnorm(size=(4000,)) for kind in (RandomBBoxTransform, FastRandomBBoxTransform)
    )
    assert got.dtype == want.dtype and np.abs(got).max() <= 1
    assert ks_2samp(want, got).pvalue > 0.01
    assert FastRandomBBoxTransform._truncnorm().shape == ()


def test_boxes_change_as_the_arguments_say():
    box = dict(bbox_center=np.zeros((1, 2)), bbox_scale=np.full((1, 2), 100.0))
    step = FastRandomBBoxTransform(
        shift_prob=0.0, rotate_prob=1.0, rotate_factor=30.0, scale_prob=1.0, scale_factor=(0.8, 1.2)
    )
    found = [step(dict(box)) for _ in range(100)]
    scales = np.stack([f['bbox_scale'][0] for f in found])
    turns = np.stack([f['bbox_rotation'][0] for f in found])
    assert 80 <= scales.min() < 90 and 110 < scales.max() <= 120
    assert -30 <= turns.min() < -15 and 15 < turns.max() <= 30
    assert not any(f['bbox_center'].any() for f in found)
