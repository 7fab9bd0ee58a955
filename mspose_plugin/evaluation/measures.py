"""How accurate single keypoints are, in the terms of the data set's own metric.

A measure turns a sample into true positions, lengths that count as a distance of 1, and weights
(:meth:`PckMeasure.labels`), and distances in those lengths into a share between 0, missed, and 1,
found (:meth:`PckMeasure.credit`). The accuracy of a set of persons is the weighted mean of that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmpose.utils.tensor_utils import to_numpy

from mspose_plugin.evaluation.metrics import PckMetric
from mspose_plugin.utils.checks import check


class PckMeasure:
    """PCK or PCKh: a keypoint within the threshold counts 1, any other 0.

    Args:
        metric: the evaluator that says so.
    """

    def __init__(self, metric: PckMetric) -> None:
        """Take the name from the evaluator."""
        self.metric, self.headline = metric, metric.headline
        self.name = f'{metric.title}@{metric.thr:g}'

    def labels(self, sample: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return true positions ``[n, K, 2]``, the distance that is 1 and weights ``[n, K]``."""
        self.metric.process(None, [dict(sample)])
        label = self.metric.results.pop()
        counts = np.zeros(label['visible'].shape)
        counts[:, list(self.metric.scored)] = 1
        norms = label['norm'][:, None]
        known = ~np.isnan(norms)
        return (
            label['gt'],
            np.where(known, norms, 1.0) * np.ones_like(counts),
            counts * label['visible'] * known,
        )

    def credit(self, distances: np.ndarray) -> np.ndarray:
        """Return 1 for distances within the threshold."""
        return (distances <= self.metric.thr).astype(float)


class SimilarityMeasure:
    """COCO: the mean over persons of the similarity (OKS) of their labelled keypoints.

    Args:
        sigmas: ``[K]``, the data set's.
    """

    name, headline = 'mean OKS', 'AP'

    def __init__(self, sigmas: Sequence[float]) -> None:
        """Keep the sigmas."""
        self.sigmas = np.asarray(sigmas, dtype=float)

    def labels(self, sample: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As :meth:`PckMeasure.labels`."""
        area: Any = (sample.get('raw_ann_info') or {}).get('area')
        needed = 'calibration on COCO needs annotated persons, not detections'
        check(area is not None, f'{needed}: set val_dataloader.dataset.bbox_file=None')
        truth = to_numpy(sample['gt_instances']['keypoints'])[..., :2]
        visible = to_numpy(sample['gt_instances']['keypoints_visible'])
        visible = (visible.reshape(*truth.shape[:2], -1)[..., 0] > 0) & (area > 0)
        weights = visible / np.maximum(visible.sum(axis=1, keepdims=True), 1)
        # similarity = exp(-d^2 / (2 area (2 sigma)^2))
        return truth, np.ones_like(weights) * 2 * self.sigmas * np.sqrt(max(area, 1)), weights

    def credit(self, distances: np.ndarray) -> np.ndarray:
        """Return the similarity."""
        return np.exp(-(distances**2) / 2)
