"""Conditional testing: which keypoints are estimated again, and what becomes of the trials.

Ke, Chang, Qi, Lyu, "Multi-Scale Structure-Aware Network for Human Pose Estimation", ECCV 2018,
§4.1: a keypoint whose confidence is below tau_c is estimated again with the person's location
perturbed, the trials whose score is above tau_s are fused, and both thresholds come from the
validation set. The paper adds that this may reduce accuracy. It does not say how trials are fused:
:func:`fuse` is ours, as are perturbed scales.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mspose_plugin.models.pose_estimators.conditional_options import (
    REMEDY,
    WHERE,
    ConditionalOptions,
)
from mspose_plugin.utils.errors import InputError

Estimate = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Indices of persons ``[n]`` and of perturbations ``[n]`` -> keypoints ``[n, K, D]`` in image
pixels and scores ``[n, K]``."""


class Outcome(NamedTuple):
    """What conditional testing makes of a batch.

    Args:
        keypoints: ``[N, K, D]``, fused where the first estimate was below tau_c.
        scores: ``[N, K]``, likewise.
        trials: ``[N]``, extra estimates that each person took.
        trial_keypoints: ``[1 + P, N, K, D]``, the first estimate and the trials in the order of
            the perturbations, NaN for those that were not made.
        trial_scores: ``[1 + P, N, K]``, likewise.
        trial_counts: ``[1 + P, N, K]``, bool, those that ``keypoints`` are the mean of.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    trials: np.ndarray
    trial_keypoints: np.ndarray
    trial_scores: np.ndarray
    trial_counts: np.ndarray


def retry_and_fuse(
    keypoints: np.ndarray,
    scores: np.ndarray,
    sides: np.ndarray,
    possible: np.ndarray,
    options: ConditionalOptions,
    estimate: Estimate,
) -> Outcome:
    """Try again where the first estimates are below tau_c, round by round, and fuse.

    Nothing here knows a network: in testing ``estimate`` crops and predicts, in calibration it
    looks up recorded trials, so that what is calibrated is what is tested.

    Args:
        keypoints: first estimates ``[N, K, D]`` in image pixels.
        scores: their confidences ``[N, K]``.
        sides: ``[N]``, longer side of the padded boxes in image pixels.
        possible: ``[N, P]``, bool, which perturbed boxes can be cropped.
        options: thresholds, perturbations and budget.
        estimate: makes the trials.

    Raises:
        InputError: as :func:`below`.
    """
    size = len(options.perturbations)
    all_keypoints = np.full((1 + size, *keypoints.shape), np.nan, keypoints.dtype)
    all_scores = np.full((1 + size, *scores.shape), np.nan, scores.dtype)
    all_keypoints[0], all_scores[0] = keypoints, scores
    low = below(scores, options.thresholds)
    unsolved, trials = low.copy(), np.zeros(len(scores), int)
    step = options.trials_per_round or size
    for first in range(0, size, step):
        wanted = unsolved.any(axis=1, keepdims=True) & possible[:, first : first + step]
        trials += wanted.sum(axis=1)
        who, which = np.nonzero(wanted)
        if len(who):
            at = 1 + first + which, who
            all_keypoints[at], all_scores[at] = estimate(who, first + which)
        tried = all_scores[1 + first : 1 + first + step]
        unsolved &= below(tried, options.thresholds).all(axis=0)
    fused, confidence = keypoints.copy(), scores.copy()
    counts = np.zeros(all_scores.shape, bool)
    counts[0] = True
    fused[low], confidence[low], counts[:, low] = fuse(
        all_keypoints[:, low], all_scores[:, low], sides[np.nonzero(low)[0]], options
    )
    return Outcome(fused, confidence, trials, all_keypoints, all_scores, counts)


def below(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return which keypoints are below tau_c.

    Args:
        scores: ``[..., K]``; a NaN is below every threshold but 0.
        thresholds: tau_c, ``[K]`` or ``[1]``.

    Returns:
        ``[..., K]``, bool.

    Raises:
        InputError: the model has another number of keypoints than there are thresholds.
    """
    keypoints, given = scores.shape[-1], len(thresholds)
    if given not in (1, keypoints):
        known = f'{keypoints}, one for each keypoint of the model; {REMEDY}'
        raise InputError(f'{WHERE}.thresholds: number={given}: expected {known}')
    return (thresholds > 0) & ~(scores >= thresholds)


def fuse(
    keypoints: np.ndarray, scores: np.ndarray, sides: np.ndarray, options: ConditionalOptions
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fuse trials, keypoint by keypoint.

    Each trial whose score exceeds tau_s is backed by those that agree with it, itself among
    them, with their scores. The result is the mean, weighted by score, of the positions (and of
    the scores) of those that back the best backed one; of equally backed ones the most
    confident counts. So a single confident mistake is outvoted, and the mean never falls
    between two places. Where no score exceeds tau_s, the most confident trial is the result.

    Args:
        keypoints: ``[T, K, D]`` in image pixels; K keypoints of any persons.
        scores: ``[T, K]``; those that are not finite never count.
        sides: ``[K]``, longer side of each one's padded box in image pixels.
        options: ``score_threshold`` and ``agreement``.

    Returns:
        Keypoints ``[K, D]``, scores ``[K]``, and which trials ``[T, K]`` they are the mean of.
    """
    rank = np.where(np.isfinite(scores), scores, -np.inf)
    votes = np.where(rank > options.score_threshold, rank, 0.0)
    apart = np.linalg.norm(keypoints[:, None, :, :2] - keypoints[None, ..., :2], axis=-1)
    agree = apart <= options.agreement * sides  # [T, T, K]
    backing = np.where(votes > 0, (agree * votes).sum(axis=1), 0.0)
    backed = backing >= backing.max(axis=0) - 1e-6
    best = np.where(backed, rank, -np.inf).argmax(axis=0), np.arange(scores.shape[1])
    counts = (votes > 0) & agree[best[0], :, best[1]].T
    weights = np.where(counts, votes, 0.0)
    total = weights.sum(axis=0)
    weights = weights / np.where(total > 0, total, 1.0)
    values = np.concatenate([keypoints, scores[..., None]], axis=-1)
    mean = (weights[..., None] * np.where(counts[..., None], values, 0.0)).sum(axis=0)
    fused = np.where(total[:, None] > 0, mean, values[best]).astype(keypoints.dtype)
    alone = np.arange(len(scores))[:, None] == best[0]
    return fused[:, :-1], fused[:, -1].astype(scores.dtype), np.where(total > 0, counts, alone)
