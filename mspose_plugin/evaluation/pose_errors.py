"""What kind of error each predicted keypoint is, after Ronchi & Perona.

"Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation" (ICCV 2017, §3.1,
https://arxiv.org/abs/1707.05388) names five outcomes for a labelled keypoint by the keypoint
similarity ks to what is annotated:

- *good*: ks of at least 0.85 to the keypoint itself;
- *jitter*: from 0.5 to 0.85;
- *inversion*: below 0.5, and at least 0.5 to the keypoint's counterpart on the person's other side;
- *swap*: likewise to the keypoint or its counterpart of another person;
- *miss*: anything else.

Where inversion and swap both hold, the greater similarity decides, as in the authors' program. The
paper's text allows any joint of the body as the wrong one; like the authors' program we count the
counterpart only and call a wrist at the elbow a miss. :attr:`PoseErrors.taken_for` has all joints.

Similarity falls with distance d as a Gaussian, ks = 2 ** -(d / reach) ** 2, where *reach* is the
distance at which it is 0.5. On COCO that is the data set's own keypoint similarity,
:func:`coco_reach`. Ours: on MPII reach is the threshold of PCKh (half a head size), on FLIC that of
PCK, so that good and jitter together are PCKh@0.5 or PCK@0.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mspose_plugin.datasets.metainfo import mirror_partners

KINDS = ('good', 'jitter', 'inversion', 'swap', 'miss')
GOOD, JITTER, INVERSION, SWAP, MISS = range(5)
GOOD_DISTANCE = np.sqrt(np.log2(1 / 0.85))
"""Where the similarity is 0.85, in reaches."""


@dataclass(frozen=True, eq=False)
class Persons:
    """The annotated persons, M with K keypoints.

    Args:
        keypoints: ``[M, K, 2]`` in pixels.
        visible: ``[M, K]``, bool: labelled.
        reach: ``[M, K]``, the distance in pixels at which keypoint similarity is 0.5.
        names: of the keypoints; they tell which are counterparts.
        images: ``[M]``, number of the person's image; None where neighbours are not annotated.
    """

    keypoints: np.ndarray
    visible: np.ndarray
    reach: np.ndarray
    names: tuple[str, ...]
    images: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class PoseErrors:
    """Outcome of every predicted keypoint.

    Args:
        kinds: ``[N, K]``, index into :data:`KINDS`; -1 where nothing is labelled.
        taken_for: ``[N, K]``: the keypoint of the person that the prediction is at; K for another
            person's, K + 1 for nothing; -1 where nothing is labelled.
    """

    kinds: np.ndarray
    taken_for: np.ndarray

    def counts(self) -> np.ndarray:
        """Return how often each keypoint has each outcome, ``[K, 5]``."""
        return _count(self.kinds, len(KINDS))

    def confusion(self) -> np.ndarray:
        """Return how often each keypoint is taken for which, ``[K, K + 2]``."""
        return _count(self.taken_for, self.taken_for.shape[1] + 2)


def _count(values: np.ndarray, most: int) -> np.ndarray:
    return (values[..., None] == np.arange(most)).sum(axis=0)


def coco_reach(area: np.ndarray, sigmas: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the distance at which COCO's keypoint similarity is 0.5, ``[M, K]`` in pixels.

    Args:
        area: ``[M]``, of the persons, in square pixels.
        sigmas: ``[K]``, of the keypoints.
    """
    # ks = exp(-d^2 / (2 area (2 sigma)^2))
    return np.sqrt(8 * np.log(2) * np.maximum(area, 1)[:, None]) * np.asarray(sigmas)


def classify(pred: np.ndarray, own: np.ndarray, persons: Persons) -> PoseErrors:
    """Say of every predicted keypoint which error it is.

    Args:
        pred: ``[N, K, 2]`` in pixels; a non-finite position is a miss.
        own: ``[N]``, whom each prediction is of, as an index into the persons.
        persons: all that are annotated.
    """
    count, joints = pred.shape[:2]
    every, partner = np.arange(joints), np.array(mirror_partners(persons.names))
    # [N, K, K]: from each predicted keypoint to each annotated one of its person
    away = _distances(pred[:, :, None], persons, own, slice(None))
    mine = away[:, every, every]
    inverted = np.where(partner == every, np.inf, away[:, every, partner])
    swapped = _nearest_neighbours(pred, own, persons, partner)

    kinds = np.full((count, joints), MISS)
    kinds[(inverted <= 1) & (inverted <= swapped)] = INVERSION
    kinds[(swapped <= 1) & (swapped < inverted)] = SWAP
    kinds[mine <= 1] = JITTER
    kinds[mine <= GOOD_DISTANCE] = GOOD

    nearest = away.argmin(axis=2)
    at_nothing = away.min(axis=2, initial=np.inf) > 1
    taken_for = np.where(at_nothing, joints + 1, nearest)
    taken_for = np.where(kinds == INVERSION, partner, taken_for)
    taken_for[kinds == SWAP] = joints
    taken_for = np.where(kinds <= JITTER, every, taken_for)
    unlabelled = ~persons.visible[own]
    kinds[unlabelled] = taken_for[unlabelled] = -1
    return PoseErrors(kinds, taken_for)


def _distances(
    pred: np.ndarray, persons: Persons, who: np.ndarray, joints: np.ndarray | slice
) -> np.ndarray:
    """Return distances ``[P, K, J]`` in reaches from ``[P, K, 1, 2]``; infinite if unlabelled.

    Args:
        pred: predicted positions.
        persons: all that are annotated.
        who: ``[P]``, whose keypoints.
        joints: which: all K for each predicted one, or ``[K, J]``.
    """
    truth, reach, visible = (
        part[who][:, joints] if isinstance(joints, np.ndarray) else part[who][:, None]
        for part in (persons.keypoints, persons.reach, persons.visible)
    )
    with np.errstate(invalid='ignore', over='ignore'):
        away = np.linalg.norm(pred - truth, axis=-1) / reach
    return np.where(visible & ~np.isnan(away), away, np.inf)


def _nearest_neighbours(
    pred: np.ndarray, own: np.ndarray, persons: Persons, partner: np.ndarray
) -> np.ndarray:
    """Return the distance to the same keypoint, or its counterpart, of the nearest other person."""
    found = np.full(pred.shape[:2], np.inf)
    if persons.images is None:
        return found
    order = np.argsort(persons.images, kind='stable')
    ranked = persons.images[order]
    first = np.searchsorted(ranked, persons.images[own], 'left')
    sizes = np.searchsorted(ranked, persons.images[own], 'right') - first
    # pairs (prediction, person of its image)
    rows = np.repeat(np.arange(len(own)), sizes)
    within = np.arange(len(rows)) - np.repeat(sizes.cumsum() - sizes, sizes)
    others = order[np.repeat(first, sizes) + within]
    rows, others = rows[others != own[rows]], others[others != own[rows]]
    joints = np.stack([np.arange(len(partner)), partner], axis=1)
    for part in np.array_split(np.arange(len(rows)), len(rows) // 10000 + 1):  # bounds the memory
        away = _distances(pred[rows[part], :, None], persons, others[part], joints)
        np.minimum.at(found, rows[part], away.min(axis=2))
    return found
