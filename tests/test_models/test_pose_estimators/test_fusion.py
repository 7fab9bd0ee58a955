"""Fusion of conditional testing's trials, against the formula."""

import numpy as np
import pytest

from mspose_plugin.models.pose_estimators.conditional_options import ConditionalOptions
from mspose_plugin.models.pose_estimators.fusion import fuse


@pytest.mark.parametrize('agreement', [0.0, 0.05, 100.0])
def test_fusion_equals_the_formula(agreement):
    rng = np.random.default_rng(0)
    cfg = ConditionalOptions(thresholds=[0.5], score_threshold=0.4, agreement=agreement)
    keypoints = rng.uniform(0, 25, (7, 5, 2)).astype(np.float32)
    scores = rng.uniform(0, 1, (7, 5)).astype(np.float32)
    scores[:, 4] = rng.uniform(0, 0.4, 7)  # no trial of the fifth counts
    scores[2, 1] = np.nan
    fused, confidence, counts = fuse(keypoints, scores, np.full(5, 200.0), cfg)
    for k in range(5):
        good = [t for t in range(7) if scores[t, k] > 0.4]
        near = {
            t: [
                j for j in good if np.hypot(*(keypoints[t, k] - keypoints[j, k])) <= agreement * 200
            ]
            for t in good
        }
        backing = {t: round(float(scores[near[t], k].sum()), 5) for t in good}
        best = max(good, key=lambda t: (backing[t], scores[t, k]), default=None)  # noqa: B023
        used = near[best] if good else [np.nanargmax(scores[:, k])]
        weights = scores[used, k] / scores[used, k].sum()
        assert np.flatnonzero(counts[:, k]).tolist() == sorted(used)
        assert np.allclose(fused[k], weights @ keypoints[used, k], atol=1e-4)
        assert confidence[k] == pytest.approx(weights @ scores[used, k])
    if agreement == 0:
        best = np.nanargmax(scores, axis=0)
        assert np.allclose(fused, keypoints[best, range(5)], atol=1e-5)


def test_a_confident_mistake_is_outvoted():
    cfg = ConditionalOptions(thresholds=[0.5])
    keypoints = np.array([[[10, 10]], [[90, 90]], [[11, 10]], [[10, 12]]], np.float32)
    scores = np.array([[0.4], [0.7], [0.4], [0.4]], np.float32)
    fused, confidence, _ = fuse(keypoints, scores, np.full(1, 100.0), cfg)
    assert fused[0] == pytest.approx([31 / 3, 32 / 3], abs=1e-4) and confidence[0] < 0.5
    fused, *_ = fuse(keypoints[:2], scores[:2], np.full(1, 100.0), cfg)
    assert fused[0].tolist() == [90, 90]


def test_fusion_of_scores_that_are_not_numbers():
    cfg = ConditionalOptions(thresholds=[0.5])
    keypoints = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    scores = np.array([[np.nan, np.nan, 0.2], [np.nan, 0.3, np.inf]], np.float32)
    fused, confidence, _ = fuse(keypoints, scores, np.full(3, 10.0), cfg)
    assert fused.tolist() == [[0, 1], [8, 9], [4, 5]]
    assert np.isnan(confidence[0]) and confidence[1:].tolist() == pytest.approx([0.3, 0.2])
