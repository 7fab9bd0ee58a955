"""COCO evaluation with MLPE's score of a person."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from mmpose.evaluation import CocoMetric
from mmpose.registry import METRICS


@METRICS.register_module()
class RescoredCocoMetric(CocoMetric):
    """MMPose's ``CocoMetric`` with a constant added to the keypoints' confidences.

    The score of a person, by which COCO sorts them, is the box's times the mean of (keypoint
    confidence + ``score_offset``): MLPE's and CPN's releases add 0.5, which weighs the box more.
    The keypoints' own scores in the result file stay as predicted.

    Args:
        score_offset: the constant. Defaults to 0.5.
        keypoint_score_thr: keypoints of this confidence or less do not enter
            the mean. Defaults to None, all do.
        **kwargs: as for ``CocoMetric``. ``score_mode`` must be its default for the offset to
            matter.
    """

    def __init__(
        self, score_offset: float = 0.5, keypoint_score_thr: float | None = None, **kwargs: Any
    ) -> None:
        """See the class."""
        threshold = -math.inf if keypoint_score_thr is None else keypoint_score_thr
        super().__init__(keypoint_score_thr=threshold + score_offset, **kwargs)
        self.score_offset = score_offset

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute the metrics of ``CocoMetric``.

        Args:
            results: predictions and ground truth, as ``process`` leaves them.

        Returns:
            ``AP``, ``AR`` ... under ``coco/``; nothing with ``format_only``.
        """
        return super().compute_metrics(
            [
                ({**pred, 'keypoint_scores': pred['keypoint_scores'] + self.score_offset}, gt)
                for pred, gt in results
            ]
        )

    def results2json(self, keypoints: dict[int, list], outfile_prefix: str) -> str:
        """Write the results with the keypoints' scores as they were predicted."""
        offset = np.array([0, 0, self.score_offset])
        keypoints = {
            image: [{**person, 'keypoints': person['keypoints'] - offset} for person in people]
            for image, people in keypoints.items()
        }
        return super().results2json(keypoints, outfile_prefix)
