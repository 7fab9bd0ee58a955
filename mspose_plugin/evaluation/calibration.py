"""Thresholds of conditional testing from a validation set.

MSSPose (ECCV 2018, §4.1) takes tau_c and tau_s from the validation set and does not say how. Here
tau_c is, for each keypoint, the confidence that best tells keypoints that were found from keypoints
that were not, and tau_s the confidence that nearly all found keypoints exceed, so that what lies
below it need not be listened to. Found is what the data set's own measure says: PCKh on MPII, PCK
on FLIC, and on COCO a keypoint similarity of at least 0.5.
"""
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.fileio import get_file_backend
from mmengine.logging import MMLogger
from mmpose.registry import METRICS

from mspose_plugin.errors import InputError

from .metrics import PckMetric, to_array

CRITERIA = ('f1', 'youden', 'precision')
COCO_SIMILARITY = 0.5


def best_threshold(scores: np.ndarray, found: np.ndarray, criterion: str = 'f1',
                   precision: float = 0.9) -> float:
    """Return the threshold at which ``scores >= threshold`` predicts ``found`` best.

    Args:
        scores: ``[N]`` confidences, finite.
        found: ``[N]``, bool; some true and some false.
        criterion: ``'f1'``: greatest F1. There a keypoint that just reaches the threshold is about
            as likely found as not (F1 / 2, precisely). ``'youden'``: greatest true-positive minus
            false-positive rate; stricter where most keypoints are found. ``'precision'``: the
            lowest threshold at which the share ``precision`` of what reaches it is found, the
            highest score where there is none.
        precision: for ``'precision'``.

    Returns:
        Half-way between the lowest score that passes and the next lower one. Of equally good
        thresholds it is the lowest, which asks for the fewest trials.
    """
    order = np.argsort(-scores, kind='stable')
    scores, found = scores[order], found[order]
    ends = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))  # last of equal scores
    hits = np.cumsum(found)[ends]
    passed = ends + 1
    positives, negatives = found.sum(), (~found).sum()
    if criterion == 'f1':
        value = 2 * hits / (positives + passed)
    elif criterion == 'youden':
        value = hits / positives - (passed - hits) / negatives
    else:
        enough = np.flatnonzero(hits >= precision * passed)
        value = (np.arange(len(ends)) == (enough[-1] if len(enough) else 0)).astype(float)
    at = np.flatnonzero(value == value.max())[-1]
    lower = ends[at] + 1
    return float(scores[ends[at]] + scores[lower]) / 2 if lower < len(scores) else float(scores[-1])


def calibrate(scores: np.ndarray, found: np.ndarray, labelled: np.ndarray, criterion: str = 'f1',
              precision: float = 0.9, min_count: int = 10,
              recall: float = 0.999) -> tuple[np.ndarray, float, np.ndarray]:
    """Find tau_c and tau_s.

    Args:
        scores: ``[N, K]`` confidences.
        found: ``[N, K]``, bool.
        labelled: ``[N, K]``, bool; the others do not count.
        criterion: of :func:`best_threshold`.
        precision: of :func:`best_threshold`.
        min_count: a keypoint with fewer labelled instances found or missed than this takes the
            threshold of all keypoints together.
        recall: share of the found keypoints whose confidence is at least tau_s.

    Returns:
        tau_c ``[K]``, tau_s, and ``[K]`` bool: which keypoints have a threshold of their own.

    Raises:
        InputError: no keypoint is labelled, all were found or all were missed.
    """
    counts = labelled & np.isfinite(scores)
    hits, misses = (counts & found).sum(axis=0), (counts & ~found).sum(axis=0)
    if not hits.sum() or not misses.sum():
        what = ('is labelled' if not counts.any() else
                'was missed' if hits.sum() else 'was found: is the checkpoint trained?')
        raise InputError(f'calibration: no keypoint of the validation set {what}; there is nothing '
                         'to tell apart')
    pooled = best_threshold(scores[counts], found[counts], criterion, precision)
    tau_c = np.full(scores.shape[1], pooled)
    own = np.minimum(hits, misses) >= min_count
    for k in np.flatnonzero(own):
        at = counts[:, k]
        tau_c[k] = best_threshold(scores[at, k], found[at, k], criterion, precision)
    tau_s = np.quantile(scores[counts & found], 1 - recall)
    return tau_c, max(float(tau_s), 0.), own


@METRICS.register_module()
class ThresholdCalibration(BaseMetric):
    """Write the thresholds that ``test_cfg.conditional`` takes.

    Keys: ``score_threshold``, ``mean_threshold``, and ``retried``, the percentage of persons that
    have a keypoint below its threshold.

    Args:
        evaluator: config of the data set's evaluator (or a list): ``PCKhAUC``, ``FlicPCK`` or
            ``CocoMetric``.
        out_file: JSON file to write, whole or not at all.
        criterion: of :func:`best_threshold`. Default: ``'f1'``.
        precision: of :func:`best_threshold`. Default: 0.9.
        min_count: of :func:`calibrate`. Default: 10.
        recall: of :func:`calibrate`. Default: 0.999.
        provenance: further entries for the file. Default: None.
        collect_device: as for mmengine's metrics. Default: ``'cpu'``.

    Raises:
        InputError: a value that is not as described.
    """

    default_prefix = ''

    def __init__(self, evaluator: dict | Sequence[dict], out_file: str, criterion: str = 'f1',
                 precision: float = 0.9, min_count: int = 10, recall: float = 0.999,
                 provenance: Mapping[str, Any] | None = None, collect_device: str = 'cpu') -> None:
        """Check the arguments; see the class."""
        super().__init__(collect_device=collect_device)
        if criterion not in CRITERIA:
            raise InputError(f'criterion {criterion!r}: expected one of {", ".join(CRITERIA)}')
        for name, share in (('precision', precision), ('recall', recall)):
            if not 0 < share <= 1:
                raise InputError(f'{name} {share}: expected a share above 0, at most 1')
        self.options = dict(criterion=criterion, precision=precision, min_count=min_count,
                            recall=recall)
        self.out_file, self.provenance = out_file, dict(provenance or {})
        self.pck, self.measure = None, ''
        names = []
        for cfg in evaluator if isinstance(evaluator, Sequence) else [evaluator]:
            names.append(cfg['type'])
            kind = METRICS.get(cfg['type']) if isinstance(cfg['type'], str) else cfg['type']
            if kind is not None and issubclass(kind, PckMetric) and not self.measure:
                self.pck = METRICS.build({**cfg, 'curve_file': None})
                self.measure = f'{self.pck.title}@{self.pck.thr:g}'
            elif cfg['type'] == 'CocoMetric' and not self.measure:
                self.measure = f'COCO keypoint similarity >= {COCO_SIMILARITY:g}'
        if not self.measure:
            raise InputError(f'val_evaluator {", ".join(names) or "is empty"}: calibration knows '
                             'when a keypoint is found from PCKhAUC, FlicPCK or CocoMetric')

    def tolerance(self, sample: Mapping[str, Any], gt: Any, keypoints: np.ndarray,
                  visible: np.ndarray) -> np.ndarray:
        """Return the distance in pixels up to which a keypoint is found.

        Args:
            sample: one sample as evaluators get it.
            gt: its ``gt_instances``.
            keypoints: ``[n, K, 2]`` true positions.
            visible: ``[n, K]``, labelled keypoints.

        Returns:
            ``[n, K]`` or ``[n, 1]``; NaN for a person to leave out.
        """
        if self.pck is not None:
            return self.pck.thr * self.pck.normalizer(gt, keypoints, visible)[:, None]
        area = (sample.get('raw_ann_info') or {}).get('area')
        if area is None:
            raise InputError('calibration on COCO needs annotated persons, not detections: set '
                             'val_dataloader.dataset.bbox_file=None')
        # similarity = exp(-d^2 / (2 area (2 sigma)^2))
        sigmas = np.asarray(self.dataset_meta['sigmas'])
        return (2 * sigmas * np.sqrt(-2 * np.log(COCO_SIMILARITY) * area))[None]

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep confidences, and which labelled keypoints were found."""
        for sample in data_samples:
            gt, pred = sample['gt_instances'], sample['pred_instances']
            true, guess = to_array(gt['keypoints'])[..., :2], to_array(pred['keypoints'])[..., :2]
            if true.shape != guess.shape:
                raise InputError(f'calibration: predictions {guess.shape} do not fit the '
                                 f'annotations {true.shape}')
            visible = to_array(gt['keypoints_visible'])
            visible = visible.reshape(*true.shape[:2], -1)[..., 0] > 0
            tolerance = self.tolerance(sample, gt, true, visible)
            distance = np.linalg.norm(guess.astype(np.float64) - true, axis=-1)
            self.results.append((to_array(pred['keypoint_scores']), distance <= tolerance,
                                 visible & ~np.isnan(tolerance)))

    def compute_metrics(self, results: list[tuple]) -> dict[str, float]:
        """Find the thresholds and write the file."""
        if not results:
            raise InputError('calibration: there is no person in the validation set')
        scores, found, labelled = (np.concatenate(part) for part in zip(*results, strict=True))
        scores = scores.astype(np.float64)
        tau_c, tau_s, own = calibrate(scores, found, labelled, **self.options)
        tau_c = tau_c.round(6)
        retried = float(100 * (~(scores >= tau_c)).any(axis=1).mean())
        names = (self.dataset_meta or {}).get('keypoint_id2name') or {}
        names = [names.get(k, str(k)) for k in range(len(tau_c))]
        content = dict(
            thresholds=tau_c.tolist(), score_threshold=round(tau_s, 6), keypoints=names,
            found=self.measure, persons=len(scores),
            labelled=labelled.sum(axis=0).tolist(),
            found_percent=[round(v, 2) for v in np.divide(
                100. * (found & labelled).sum(axis=0), np.maximum(labelled.sum(axis=0), 1))],
            pooled=[name for name, mine in zip(names, own) if not mine],
            retried_percent=round(retried, 2), **self.options, **self.provenance)
        get_file_backend(self.out_file).put_text(json.dumps(content, indent=1) + '\n',
                                                 self.out_file)
        rows = '\n'.join(f'  {name:<16} {value:.3f}' for name, value in zip(names, tau_c))
        MMLogger.get_current_instance().info('thresholds from %d persons (%s):\n%s', len(scores),
                                             self.measure, rows)
        return dict(score_threshold=tau_s, mean_threshold=float(tau_c.mean()), retried=retried)
