"""PCK, PCKh and their curves from one pass over the data.

PCK counts a predicted joint as correct when its distance to the ground truth, divided by a
person-specific length, does not exceed a threshold. PCKh (Andriluka et al., "2D Human Pose
Estimation: New Benchmark and State of the Art Analysis", CVPR 2014, http://human-pose.mpi-inf.mpg.de)
divides by 0.6 times the diagonal of the head box; FLIC (Sapp and Taskar, "MODEC", CVPR 2013,
https://bensapp.github.io/flic-dataset.html) by the torso. Both official toolkits count a distance
*equal* to the threshold as correct, and so does this module.

Every distance is computed once and sorted once into the bins between thresholds; a cumulative sum
over the bins is the whole curve, so the area under it costs no more than one point of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.integrate import trapezoid

from mspose_plugin.utils.checks import check, check_shapes

MPII_JOINTS = (
    'rank',
    'rkne',
    'rhip',
    'lhip',
    'lkne',
    'lank',
    'pelvis',
    'thorax',
    'neck',
    'head',
    'rwri',
    'relb',
    'rsho',
    'lsho',
    'lelb',
    'lwri',
)
MPII_GROUPS: Mapping[str, Sequence[int]] = {
    'Head': (9,),
    'Shoulder': (12, 13),
    'Elbow': (11, 14),
    'Wrist': (10, 15),
    'Hip': (2, 3),
    'Knee': (1, 4),
    'Ankle': (0, 5),
}
MPII_SCORED = tuple(k for k in range(16) if k not in (6, 7))  # without pelvis and thorax
FLIC_JOINTS = (
    'lsho',
    'lelb',
    'lwri',
    'rsho',
    'relb',
    'rwri',
    'lhip',
    'rhip',
    'leye',
    'reye',
    'nose',
)
FLIC_GROUPS: Mapping[str, Sequence[int]] = {
    'Shoulder': (0, 3),
    'Elbow': (1, 4),
    'Wrist': (2, 5),
    'Hip': (6, 7),
    'Eye': (8, 9),
    'Nose': (10,),
}
FLIC_TORSO = (0, 7)  # left shoulder, right hip


@dataclass(frozen=True)
class PckCurve:
    """How many labelled joints lie within each threshold.

    Args:
        thresholds: ``[T]``, ascending, in units of the normaliser.
        hits: ``[T, K]``, joints whose normalised distance is ``<=`` the threshold.
        labelled: ``[K]``, labelled joints.
    """

    thresholds: np.ndarray
    hits: np.ndarray
    labelled: np.ndarray

    def per_joint(self) -> np.ndarray:
        """Return PCK in percent ``[T, K]``; NaN where a joint is never labelled."""
        out = np.full(self.hits.shape, np.nan)
        return np.divide(100.0 * self.hits, self.labelled, out=out, where=self.labelled > 0)

    def weighted(self, joints: Sequence[int]) -> np.ndarray:
        """Return PCK in percent ``[T]`` over all labelled instances of ``joints`` (or NaN)."""
        joints = list(joints)
        total = self.labelled[joints].sum()
        hits = self.hits[:, joints].sum(axis=1)
        return 100.0 * hits / total if total else np.full(len(hits), np.nan)

    def mean(self, joints: Sequence[int]) -> np.ndarray:
        """Return the plain mean ``[T]`` of the PCK of those ``joints`` that are labelled."""
        labelled = [k for k in joints if self.labelled[k] > 0]
        if not labelled:
            return np.full(len(self.thresholds), np.nan)
        return self.per_joint()[:, labelled].mean(axis=1)

    def index(self, threshold: float) -> int:
        """Return the row of one of the curve's thresholds."""
        return int(np.flatnonzero(self.thresholds == threshold)[0])

    def area(self, values: np.ndarray, upper: float) -> float:
        """Return the trapezoidal mean of ``values`` ``[T]`` over thresholds 0, 0.01 ... upper."""
        grid = np.isin(self.thresholds, threshold_grid(upper))
        return float(trapezoid(values[grid], self.thresholds[grid]) / upper)


def threshold_grid(upper: float, extra: Sequence[float] = ()) -> np.ndarray:
    """Return 0, 0.01 ... ``upper`` and the ``extra`` thresholds, ascending, each once."""
    grid = np.arange(round(upper * 100) + 1) / 100
    return np.unique(np.concatenate([grid, np.asarray(extra, dtype=float)]))


def normalized_distances(
    pred: np.ndarray, gt: np.ndarray, visible: np.ndarray, norm: np.ndarray
) -> np.ndarray:
    """Divide the distance between prediction and ground truth by each person's normaliser.

    Args:
        pred: ``[N, K, 2]`` predicted positions in pixels; a non-finite one is infinitely far away.
        gt: ``[N, K, 2]`` true positions in the same coordinates.
        visible: ``[N, K]``, non-zero where a joint is labelled.
        norm: ``[N]`` length in pixels that counts as 1.

    Returns:
        ``[N, K]`` float64 distances, NaN where a joint is not labelled.

    Raises:
        InputError: no person, shapes that do not fit, a labelled joint without a position or a
            normaliser that is not positive.
    """
    pred, gt = np.asarray(pred, dtype=np.float64), np.asarray(gt, dtype=np.float64)
    visible, norm = np.asarray(visible) > 0, np.asarray(norm, dtype=np.float64)
    axes = dict(pred=(pred, 'N K 2'), gt=(gt, 'N K 2'), visible=(visible, 'N K'), norm=(norm, 'N'))
    check_shapes('PCK', **axes)
    check(len(gt), 'PCK: there is no person to evaluate; is the test set empty?')
    bad = np.flatnonzero(~(np.isfinite(norm) & (norm > 0)))
    first = next(iter(bad), 0)
    size = f'a positive head or torso size; the first is number {first} with {norm[first]}'
    check(not len(bad), f'PCK: {len(bad)} person(s) without {size}')
    labelled = np.isfinite(gt[visible]).all()
    check(labelled, 'PCK: a joint that is marked as labelled has no finite position')
    with np.errstate(invalid='ignore', over='ignore'):
        distances = np.sqrt(((pred - gt) ** 2).sum(axis=-1)) / norm[:, None]
    distances[np.isnan(distances)] = np.inf
    distances[~visible] = np.nan
    return distances


def pck_curve(distances: np.ndarray, thresholds: np.ndarray) -> PckCurve:
    """Count the labelled joints within each threshold.

    Nothing is rounded: a joint of the published stacked hourglass lies so close to PCKh@0.1 that
    rounding either side to float32 decides about it.

    Args:
        distances: ``[N, K]`` float64 as :func:`normalized_distances` returns them.
        thresholds: ``[T]``, strictly ascending.

    Returns:
        The counts per threshold and joint.
    """
    num_bins, num_joints = len(thresholds) + 1, distances.shape[1]
    # the first threshold that is >= the distance; beyond all (infinite, NaN): the last bin
    bins = np.searchsorted(thresholds, distances, side='left')
    cells = (bins * num_joints + np.arange(num_joints)).ravel()
    counts = np.bincount(cells, minlength=num_bins * num_joints).reshape(num_bins, num_joints)
    return PckCurve(thresholds, counts[:-1].cumsum(axis=0), (~np.isnan(distances)).sum(axis=0))


def group_means(
    curve: PckCurve,
    groups: Mapping[str, Sequence[int]],
    thr: float,
) -> dict[str, float]:
    """Return left/right means in percent at ``thr`` under the groups' names (NaN: no label)."""
    row = curve.index(thr)
    return {name: float(curve.mean(joints)[row]) for name, joints in groups.items()}


def pckh_summary(curve: PckCurve, thr: float = 0.5) -> dict[str, float]:
    """Summarise a curve over MPII's 16 joints; see :func:`pckh` for the keys."""
    weighted, mean = curve.weighted(MPII_SCORED), curve.mean(MPII_SCORED)
    row = curve.index(thr)
    return {
        **group_means(curve, MPII_GROUPS, thr),
        'PCKh': float(weighted[row]),
        'PCKh-mean': float(mean[row]),
        'PCKh@0.1': float(weighted[curve.index(0.1)]),
        'AUC': curve.area(weighted, 0.5),
        'AUC-mean': curve.area(mean, 0.5),
    }


def pckh(
    pred: np.ndarray, gt: np.ndarray, head_size: np.ndarray, visible: np.ndarray, thr: float = 0.5
) -> dict[str, float]:
    """Compute MPII's PCKh table and the area under its curve.

    Args:
        pred: ``[N, 16, 2]`` predicted positions in pixels, MPII's joint order.
        gt: ``[N, 16, 2]`` true positions in the same coordinates (both 0-based, or both 1-based).
        head_size: ``[N]`` 0.6 times the diagonal of the head box, in pixels.
        visible: ``[N, 16]``, non-zero where a joint is labelled.
        thr: threshold of everything but ``PCKh@0.1`` and the areas. Default: 0.5.

    Returns:
        ``Head`` ... ``Ankle`` (left/right means), ``PCKh`` and ``PCKh@0.1`` (over all
        labelled joints but pelvis and thorax), ``PCKh-mean`` (plain mean of those 14 joints),
        ``AUC`` (trapezoid of ``PCKh`` over 0, 0.01 ... 0.5, divided by 0.5) and ``AUC-mean``. A
        joint that is never labelled is left out of means; NaN where nothing is left. ``PCKh`` and
        ``AUC`` are the "Total" and AUC of MPII's toolkit (evalMPII); its "Head" is the mean of
        head top and upper neck, while ``Head``, as in published validation tables, is the head top.

    Raises:
        InputError: as :func:`normalized_distances`, or not 16 joints.
    """
    distances = normalized_distances(pred, gt, visible, head_size)
    check_joints(distances, MPII_JOINTS, 'PCKh')
    return pckh_summary(pck_curve(distances, threshold_grid(0.5, (0.1, thr))), thr)


def flic_summary(curve: PckCurve, thr: float = 0.2) -> dict[str, float]:
    """Summarise a curve over FLIC's 11 joints; see :func:`flic_pck` for the keys."""
    weighted = curve.weighted(range(len(FLIC_JOINTS)))
    return {
        **group_means(curve, FLIC_GROUPS, thr),
        'PCK': float(weighted[curve.index(thr)]),
        'AUC': curve.area(weighted, 0.2),
        'AUC-Elbow': curve.area(curve.mean(FLIC_GROUPS['Elbow']), 0.2),
        'AUC-Wrist': curve.area(curve.mean(FLIC_GROUPS['Wrist']), 0.2),
    }


def flic_pck(
    pred: np.ndarray, gt: np.ndarray, visible: np.ndarray, thr: float = 0.2
) -> dict[str, float]:
    """Compute FLIC's PCK table, normalised by the true |left shoulder - right hip|.

    Args:
        pred: ``[N, 11, 2]`` predicted positions in pixels, FLIC's joint order.
        gt: ``[N, 11, 2]`` true positions; left shoulder and right hip must be labelled.
        visible: ``[N, 11]``, non-zero where a joint is labelled.
        thr: threshold of everything but the areas. Default: 0.2.

    Returns:
        ``Shoulder``, ``Elbow``, ``Wrist``, ``Hip``, ``Eye`` (left/right means),
        ``Nose``, ``PCK`` (over all labelled joints), ``AUC``, ``AUC-Elbow`` and ``AUC-Wrist``
        (trapezoid over 0, 0.01 ... 0.2, divided by 0.2). NaN where nothing is labelled.

    Raises:
        InputError: as :func:`normalized_distances`, or not 11 joints.
    """
    gt = np.asarray(gt, dtype=np.float64)
    check_joints(gt, FLIC_JOINTS, 'FLIC PCK')
    norm = np.linalg.norm(gt[:, FLIC_TORSO[0]] - gt[:, FLIC_TORSO[1]], axis=-1)
    distances = normalized_distances(pred, gt, visible, norm)
    return flic_summary(pck_curve(distances, threshold_grid(0.2, (thr,))), thr)


def check_joints(array: np.ndarray, names: Sequence[str], what: str) -> None:
    """Refuse arrays ``[N, K, ...]`` with another number of joints K.

    Args:
        array: positions or distances.
        names: those of the joints.
        what: who takes the array, for the message.

    Raises:
        InputError: another number of joints.
    """
    shape, wanted = np.shape(array), f'the {len(names)} joints {" ".join(names)}'
    check(len(shape) > 1 and shape[1] == len(names), f'{what} needs {wanted}; got shape {shape}')
