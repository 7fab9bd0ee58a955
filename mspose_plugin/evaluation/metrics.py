"""MMPose evaluators: ``PCKhAUC`` for MPII and ``FlicPCK`` for FLIC.

Both collect predictions and ground truth of top-down samples and leave the arithmetic, in float64,
to :mod:`mspose_plugin.evaluation.pck`; our data sets give them the annotation's own float64 joints.
Predictions and ground truth are compared in the coordinates they come in: combine ``PCKhAUC`` with
``ZeroBasedMpiiDataset`` (MMPose's ``MpiiDataset`` keeps joints 1-based, for which its own
``MpiiPCKAccuracy`` adds 1 to predictions).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmpose.registry import METRICS
from mmpose.utils.tensor_utils import to_numpy

from mspose_plugin.evaluation import pck
from mspose_plugin.utils.checks import check, check_positive
from mspose_plugin.utils.files import write_json


class PckMetric(BaseMetric):
    """Collect what a PCK needs and report table, per-joint table and curve.

    Subclasses say how a person is normalised and how a curve is summarised.

    Args:
        thr: threshold in units of the normaliser. Default: the end of the curve, ``upper``.
        curve_file: JSON file for the curve of every joint (``thresholds`` ``[T]``, ``joints`` name
            -> ``[T]`` percent, ``labelled`` name -> count, ``metrics``); None writes none.
            Default: None.
        persons_file: JSON file for every person's result: ``joints``, ``scored`` and ``groups`` as
            below, ``ids`` ``[N]`` of the annotations, ``labelled`` and ``hits`` (labelled, within
            ``thr``), each ``[N, K]`` bits, see :func:`pack_bits`; None writes none. Default: None.
        collect_device: ``'cpu'`` or ``'gpu'``, where results of several processes are collected.
            Default: ``'cpu'``.
        prefix: put before every key, with a slash; None for bare keys. Default: None.
        collect_dir: folder for collecting on the CPU; None for a temporary one. Default: None.
    """

    default_prefix = ''  # bare keys, and no warning about it
    title: str
    joints: Sequence[str]
    upper: float  # the end of the curve
    headline: str  # key of the metric that stands for the others
    scored: Sequence[int]  # the joints that it counts
    groups: Mapping[str, Sequence[int]]  # the joints of a table's column

    def __init__(
        self,
        thr: float | None = None,
        curve_file: str | None = None,
        persons_file: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        """Check the threshold; see the class for the arguments."""
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        self.thr = self.upper if thr is None else float(thr)
        check_positive(f'{type(self).__name__}: thr', self.thr)
        self.curve_file, self.persons_file = curve_file, persons_file

    def normalizer(self, gt: Any, keypoints: np.ndarray, visible: np.ndarray) -> np.ndarray:
        """Return ``[n]`` lengths in pixels, NaN for a person to leave out."""
        raise NotImplementedError

    def summarize(self, curve: pck.PckCurve) -> dict[str, float]:
        """Return the metrics of a curve."""
        raise NotImplementedError

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep predictions, ground truth and normaliser of a batch.

        Args:
            data_batch: not used.
            data_samples: with ``pred_instances.keypoints`` ``[n, K, 2]``,
                ``gt_instances.keypoints`` ``[n, K, 2]`` and ``keypoints_visible`` ``[n, K]`` (or
                ``[n, K, d]``), and for PCKh ``gt_instances.head_size`` ``[n, 1]``.

        Raises:
            InputError: wrong number of keypoints, or of predicted persons.
        """
        name = type(self).__name__
        for sample in data_samples:
            gt = sample['gt_instances']
            pred, true = to_numpy(sample['pred_instances']['keypoints']), to_numpy(gt['keypoints'])
            for array in (pred, true):
                pck.check_joints(array, self.joints, name)
            counts = f'got {len(pred)} for {len(true)}'
            one_each = f'{name} needs one prediction for each person of a sample (top-down)'
            check(len(pred) == len(true), f'{one_each}: {counts}')
            visible = to_numpy(gt['keypoints_visible'])
            visible = visible.reshape(*true.shape[:2], -1)[..., 0] > 0
            self.results.append(
                dict(
                    pred=pred[..., :2],
                    gt=true[..., :2],
                    visible=visible,
                    norm=self.normalizer(gt, true, visible),
                    ids=np.full(len(true), sample.get('id', -1)),
                )
            )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Compute, log and write the metrics of all processes' results.

        Args:
            results: one entry for each sample, as :meth:`process` leaves them.

        Returns:
            Percentages; NaN for what no label stands behind.

        Raises:
            InputError: nothing to evaluate.
        """
        name, logger = type(self).__name__, MMLogger.get_current_instance()
        check(results, f'{name}: there is no person to evaluate; is the test set empty?')
        data = {key: np.concatenate([r[key] for r in results]) for key in results[0]}
        ids = data.pop('ids')
        nobody = f'{name}: none of the {len(data["visible"])} persons has'
        check(data['visible'].any(), f'{nobody} a labelled joint; check ann_file')
        known = ~np.isnan(data['norm'])
        check(known.any(), f'{nobody} the joints that the normaliser needs; check ann_file')
        if not known.all():
            logger.warning(
                '%s: left out %d of %d persons without the joints that the normaliser needs',
                name,
                (~known).sum(),
                len(known),
            )
            data, ids = {key: value[known] for key, value in data.items()}, ids[known]
        distances = pck.normalized_distances(**data)
        curve = pck.pck_curve(distances, pck.threshold_grid(self.upper, (0.1, self.thr)))
        metrics = self.summarize(curve)
        logger.info(
            '%s@%g of %d persons, %d labelled joints, in percent\n%s',
            self.title,
            self.thr,
            len(distances),
            curve.labelled.sum(),
            self.table(curve, metrics),
        )
        if self.curve_file:
            write_json(self.curve_file, self.curve_content(curve, metrics))
        if self.persons_file:
            write_json(self.persons_file, self.persons_content(distances, ids))
        return metrics

    def persons_content(self, distances: np.ndarray, ids: np.ndarray) -> dict[str, Any]:
        """Return what ``persons_file`` says of distances ``[N, K]``, NaN where not labelled."""
        return dict(
            joints=list(self.joints),
            scored=list(self.scored),
            groups={name: list(joints) for name, joints in self.groups.items()},
            ids=ids.tolist(),
            labelled=pack_bits(~np.isnan(distances)),
            hits=pack_bits(distances <= self.thr),
        )

    def table(self, curve: pck.PckCurve, metrics: dict[str, float]) -> str:
        """Return the metrics and each joint's PCK and count as two plain text tables."""
        per_joint = curve.per_joint()[curve.index(self.thr)]
        return '\n'.join(
            [
                *text_row(list(metrics), [cell(value) for value in metrics.values()]),
                *text_row(
                    ['joint', *self.joints],
                    ['PCK', *map(cell, per_joint)],
                    ['labelled', *map(str, curve.labelled)],
                ),
            ]
        )

    def curve_content(self, curve: pck.PckCurve, metrics: dict[str, float]) -> dict[str, Any]:
        """Return what ``curve_file`` says; None stands for NaN."""
        percent = dict(zip(self.joints, curve.per_joint().T, strict=True))
        return dict(
            thresholds=curve.thresholds.tolist(),
            joints={name: [none_if_nan(v) for v in values] for name, values in percent.items()},
            labelled=dict(zip(self.joints, curve.labelled.tolist(), strict=True)),
            metrics={name: none_if_nan(value) for name, value in metrics.items()},
        )


@METRICS.register_module()
class PCKhAUC(PckMetric):
    """PCKh and the area under its curve on MPII, as the MPII toolkit computes them.

    Keys: ``Head`` ``Shoulder`` ``Elbow`` ``Wrist`` ``Hip`` ``Knee`` ``Ankle`` ``PCKh``
    ``PCKh-mean`` ``PCKh@0.1`` ``AUC`` ``AUC-mean``; :func:`mspose_plugin.evaluation.pck.pckh`
    defines them. The head size comes from the dataset (``headbox_file``).

    Args:
        thr: threshold in head sizes. Default: 0.5.
        curve_file: as for :class:`PckMetric`. Default: None.
        persons_file: as for :class:`PckMetric`. Default: None.
        collect_device: as for :class:`PckMetric`. Default: ``'cpu'``.
        prefix: as for :class:`PckMetric`. Default: None.
        collect_dir: as for :class:`PckMetric`. Default: None.
    """

    title, joints, upper = 'PCKh', pck.MPII_JOINTS, 0.5
    headline, scored, groups = 'PCKh', pck.MPII_SCORED, pck.MPII_GROUPS

    def normalizer(self, gt: Any, keypoints: np.ndarray, visible: np.ndarray) -> np.ndarray:
        """Return the head sizes that the dataset read from its head-box file."""
        check(
            'head_size' in gt,
            "PCKhAUC needs head sizes: set the test dataset's headbox_file, e.g. headbox_file="
            "'data/mpii/annotations/mpii_gt_val.mat'; MPII's test set has no public labels, use "
            'MpiiSubmission for it',
        )
        return to_numpy(gt['head_size']).reshape(-1).astype(np.float64)

    def summarize(self, curve: pck.PckCurve) -> dict[str, float]:
        """Return MPII's table."""
        return pck.pckh_summary(curve, self.thr)


@METRICS.register_module()
class FlicPCK(PckMetric):
    """PCK on FLIC, normalised by the ground truth's |left shoulder - right hip|.

    Keys: ``Shoulder`` ``Elbow`` ``Wrist`` ``Hip`` ``Eye`` ``Nose`` ``PCK`` ``AUC`` ``AUC-Elbow``
    ``AUC-Wrist``; :func:`mspose_plugin.evaluation.pck.flic_pck` defines them. Published tables show
    ``Elbow`` and ``Wrist``. Persons without a labelled left shoulder or right hip are left out,
    with a warning.

    Args:
        thr: threshold in torso lengths. Default: 0.2.
        curve_file: as for :class:`PckMetric`. Default: None.
        persons_file: as for :class:`PckMetric`. Default: None.
        collect_device: as for :class:`PckMetric`. Default: ``'cpu'``.
        prefix: as for :class:`PckMetric`. Default: None.
        collect_dir: as for :class:`PckMetric`. Default: None.
    """

    title, joints, upper = 'FLIC PCK', pck.FLIC_JOINTS, 0.2
    headline, scored, groups = 'PCK', range(len(pck.FLIC_JOINTS)), pck.FLIC_GROUPS

    def normalizer(self, gt: Any, keypoints: np.ndarray, visible: np.ndarray) -> np.ndarray:
        """Return the true torso lengths, NaN where an end is not labelled."""
        ends = keypoints[:, pck.FLIC_TORSO].astype(np.float64)
        torso = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1)
        return np.where(visible[:, pck.FLIC_TORSO].all(axis=1), torso, np.nan)

    def summarize(self, curve: pck.PckCurve) -> dict[str, float]:
        """Return FLIC's table."""
        return pck.flic_summary(curve, self.thr)


@METRICS.register_module()
class BoxPCK(PckMetric):
    """PCK of any joints, normalised by the longer side of the person's box, with area and table.

    That is the PCK of Yang & Ramanan ("Articulated Human Detection with Flexible Mixtures of
    Parts", PAMI 2013), who take 0.1 or 0.2 of it as threshold. Keys: ``PCK`` over all labelled
    joints, ``PCK-mean`` (plain mean of the joints that are labelled at all), ``PCK@0.05`` and
    ``AUC`` over thresholds 0, 0.01 ... 0.2, ours. A joint that is never labelled has a dash.

    Args:
        thr: threshold in lengths of the box. Default: 0.1.
        curve_file: as for :class:`PckMetric`. Default: None.
        persons_file: as for :class:`PckMetric`. Default: None.
        collect_device: as for :class:`PckMetric`. Default: ``'cpu'``.
        prefix: as for :class:`PckMetric`. Default: None.
        collect_dir: as for :class:`PckMetric`. Default: None.
    """

    title, upper, headline = 'PCK (of the box)', 0.2, 'PCK'

    def __init__(self, thr: float = 0.1, **kwargs: Any) -> None:
        """See the class for the arguments."""
        super().__init__(thr=thr, **kwargs)

    @property
    def dataset_meta(self) -> dict[str, Any] | None:
        """The data set's metainfo, which names the joints."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, meta: dict[str, Any]) -> None:
        self._dataset_meta = meta
        names = meta['keypoint_id2name']
        self.joints = tuple(names[k] for k in range(len(names)))
        self.scored = range(len(names))
        groups: dict[str, list[int]] = {}
        for k, joint in enumerate(self.joints):
            name = joint.removeprefix('left_').removeprefix('right_')
            groups.setdefault(name.capitalize(), []).append(k)
        self.groups = groups

    def normalizer(self, gt: Any, keypoints: np.ndarray, visible: np.ndarray) -> np.ndarray:
        """Return the longer sides of the boxes, NaN for a box without size."""
        boxes = to_numpy(gt['bboxes']).astype(np.float64)
        sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
        return np.where(sides > 0, sides, np.nan)

    def summarize(self, curve: pck.PckCurve) -> dict[str, float]:
        """Return the summary of any joints."""
        weighted, row = curve.weighted(self.scored), curve.index(self.thr)
        return {
            'PCK': float(weighted[row]),
            'PCK-mean': float(curve.mean(self.scored)[row]),
            'PCK@0.05': float(weighted[curve.index(0.05)]),
            'AUC': curve.area(weighted, self.upper),
        }


def cell(value: float) -> str:
    """Return a percentage as tables show it; a dash for NaN."""
    return '-' if np.isnan(value) else f'{value:.2f}'


def pack_bits(bits: np.ndarray) -> str:
    """Return booleans of any shape as hexadecimal digits, the first one highest."""
    return np.packbits(bits).tobytes().hex()


def unpack_bits(text: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return the booleans of :func:`pack_bits`, whose shape has to be known."""
    packed = np.frombuffer(bytes.fromhex(text), np.uint8)
    return np.unpackbits(packed, count=int(np.prod(shape))).astype(bool).reshape(shape)


def none_if_nan(value: float) -> float | None:
    """Return a plain float, or None for NaN, which JSON lacks."""
    return None if np.isnan(value) else float(value)


def text_row(*rows: Sequence[str]) -> list[str]:
    """Return the rows as lines with aligned columns."""
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    return [
        '  '.join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
