"""Conditional testing as data: when to try again, where, and how the trials are fused.

Ke, Chang, Qi, Lyu, "Multi-Scale Structure-Aware Network for Human Pose Estimation", ECCV 2018,
§4.1: a keypoint whose confidence is below tau_c is estimated again with the person's location
perturbed, the trials whose score is above tau_s are fused, and both thresholds come from the
validation set. The paper adds that this may reduce accuracy. Which locations, in which order, how
many, and how trials are fused it does not say: every such value below is this project's and an
option, as are perturbed scales.

Nothing here knows a network: :meth:`ConditionalTesting.run` asks a function for trials. In testing
that function crops and predicts, in calibration it looks recorded trials up, so that what is
calibrated is what is tested.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from mspose_plugin.utils.checks import numbers
from mspose_plugin.utils.errors import InputError
from mspose_plugin.utils.files import read_json

WHERE = 'test_cfg.conditional'
REMEDY = 'write one with tools/calibrate_thresholds.py CONFIG CHECKPOINT --out FILE'
PERTURBATIONS = ((-0.08, 0.0, 1.0), (0.08, 0.0, 1.0), (0.0, -0.08, 1.0), (0.0, 0.08, 1.0))


class Outcome(NamedTuple):
    """What conditional testing makes of a batch.

    Args:
        keypoints: ``[N, K, D]``, fused where the first estimate was below tau_c.
        scores: ``[N, K]``, likewise.
        trials: ``[N]``, extra estimates that each person took.
        trial_keypoints: ``[1 + P, N, K, D]``, the first estimate and the trials in the order of
            the perturbations, NaN for those that were not made.
        trial_scores: ``[1 + P, N, K]``, likewise.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    trials: np.ndarray
    trial_keypoints: np.ndarray
    trial_scores: np.ndarray


@dataclass(frozen=True, eq=False)
class ConditionalTesting:
    """Options of ``test_cfg.conditional``.

    Args:
        thresholds: tau_c, below which a keypoint is estimated again: ``[K]``, or ``[1]`` for all
            keypoints. In a config also one number, or a file of ``calibrate_thresholds.py``, which
            then also gives the other options, except for those that the config sets. With 0 a
            keypoint never asks for another trial.
        score_threshold: tau_s, above which a trial of a keypoint counts; not negative. Default: 0.
        perturbations: ``[P, 3]``, in this order: dx, dy (fractions of the padded box's width and
            height) and a scale factor. Boxes that leave the image altogether are passed over.
            Default: shifts of 0.08 to the left, right, up and down, at scale 1.
        max_trials: budget of a person, extra estimates at most. Default: all perturbations.
        trials_per_round: a person is done once each of its keypoints had a trial that reached
            tau_c; this is looked at after so many trials. Fewer cost less and leave less to fuse.
            Default: all trials in one round.
        batch_size: crops in one forward pass, at most; None takes the size of the batch that is
            being tested. Default: None.
        agreement: trials agree that lie at most this far apart, as a fraction of the padded box's
            longer side. Default: 0.05.

    Raises:
        InputError: a value that is not as described.
    """

    thresholds: np.ndarray
    score_threshold: float = 0.0
    perturbations: np.ndarray = PERTURBATIONS
    max_trials: int | None = None
    trials_per_round: int | None = None
    batch_size: int | None = None
    agreement: float = 0.05

    def __post_init__(self) -> None:
        """Check the values and turn them into arrays."""
        tau_c = self.thresholds
        tau_c = numbers([tau_c] if isinstance(tau_c, (int, float)) else tau_c, (None,))
        _require(
            tau_c is not None and len(tau_c),
            'thresholds',
            self.thresholds,
            'one finite number, one for each keypoint, or a file',
        )
        table = numbers(self.perturbations, (None, 3))
        _require(
            table is not None and len(table) and (table[:, 2] > 0).all(),
            'perturbations',
            self.perturbations,
            'a list of (dx, dy, scale factor), the factor positive',
        )
        for name in ('score_threshold', 'agreement'):
            value = numbers(getattr(self, name), ())
            _require(
                value is not None and value >= 0,
                name,
                getattr(self, name),
                'a finite number, not negative',
            )
        for name in ('max_trials', 'trials_per_round', 'batch_size'):
            value = getattr(self, name)
            _require(
                value is None or isinstance(value, int) and value is not True and value > 0,
                name,
                value,
                'a positive integer',
            )
        object.__setattr__(self, 'thresholds', tau_c)
        object.__setattr__(self, 'perturbations', table[: self.max_trials])

    @classmethod
    def from_cfg(cls, cfg: Mapping[str, Any]) -> ConditionalTesting:
        """Read ``test_cfg.conditional``; ``thresholds`` may name a file.

        Raises:
            InputError: unknown or missing entries, or a threshold file that cannot be used.
        """
        names = [f.name for f in fields(cls)]
        if not isinstance(cfg, Mapping) or not set(cfg) <= set(names):
            raise InputError(f'{WHERE}={cfg!r}: expected a dict of {", ".join(names)}')
        options = {key: value for key, value in cfg.items() if value is not None}
        if 'thresholds' not in options:
            raise InputError(f'{WHERE}.thresholds is missing: give numbers or a file; {REMEDY}')
        if isinstance(options['thresholds'], str):
            options = {**read_thresholds(options.pop('thresholds')), **options}
        return cls(**options)

    def below(self, scores: np.ndarray) -> np.ndarray:
        """Return which keypoints are below tau_c.

        Args:
            scores: ``[..., K]``; a NaN is below every threshold but 0.

        Raises:
            InputError: the model has another number of keypoints than there are thresholds.
        """
        if len(self.thresholds) not in (1, scores.shape[-1]):
            raise InputError(
                f'{WHERE}.thresholds has {len(self.thresholds)} values, the model '
                f'predicts {scores.shape[-1]} keypoints; {REMEDY}'
            )
        return (self.thresholds > 0) & ~(scores >= self.thresholds)

    def run(
        self,
        keypoints: np.ndarray,
        scores: np.ndarray,
        sides: np.ndarray,
        possible: np.ndarray,
        estimate: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
    ) -> Outcome:
        """Try again where the first estimates are below tau_c, round by round, and fuse.

        Args:
            keypoints: first estimates ``[N, K, D]`` in image pixels.
            scores: their confidences ``[N, K]``.
            sides: ``[N]``, longer side of the padded boxes in image pixels.
            possible: ``[N, P]``, bool, which perturbed boxes can be looked at.
            estimate: takes indices of persons ``[n]`` and of perturbations ``[n]``, returns
                keypoints ``[n, K, D]`` and scores ``[n, K]``.

        Raises:
            InputError: as :meth:`below`.
        """
        size = len(self.perturbations)
        all_keypoints = np.full((1 + size, *keypoints.shape), np.nan, keypoints.dtype)
        all_scores = np.full((1 + size, *scores.shape), np.nan, scores.dtype)
        all_keypoints[0], all_scores[0] = keypoints, scores
        low = self.below(scores)
        unsolved, trials = low.copy(), np.zeros(len(scores), int)
        step = self.trials_per_round or size
        for first in range(0, size, step):
            wanted = unsolved.any(axis=1, keepdims=True) & possible[:, first : first + step]
            trials += wanted.sum(axis=1)
            who, which = np.nonzero(wanted)
            if len(who):
                at = 1 + first + which, who
                all_keypoints[at], all_scores[at] = estimate(who, first + which)
            unsolved &= self.below(all_scores[1 + first : 1 + first + step]).all(axis=0)
        fused, confidence = keypoints.copy(), scores.copy()
        fused[low], confidence[low] = self.fuse(
            all_keypoints[:, low], all_scores[:, low], sides[np.nonzero(low)[0]]
        )
        return Outcome(fused, confidence, trials, all_keypoints, all_scores)

    def fuse(
        self, keypoints: np.ndarray, scores: np.ndarray, sides: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
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

        Returns:
            Keypoints ``[K, D]`` and scores ``[K]``.
        """
        rank = np.where(np.isfinite(scores), scores, -np.inf)
        votes = np.where(rank > self.score_threshold, rank, 0.0)
        apart = np.linalg.norm(keypoints[:, None, :, :2] - keypoints[None, ..., :2], axis=-1)
        agree = apart <= self.agreement * sides  # [T, T, K]
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
        return fused[:, :-1], fused[:, -1].astype(scores.dtype)


def read_thresholds(path: str) -> dict[str, Any]:
    """Return the options in a file of ``calibrate_thresholds.py``, ``thresholds`` among them.

    Raises:
        InputError: no such file, empty, or not such a file.
    """
    content = read_json(path, f'{WHERE}.thresholds file', REMEDY)
    names = [f.name for f in fields(ConditionalTesting)]
    options = (
        {key: value for key, value in content.items() if key in names and value is not None}
        if isinstance(content, dict)
        else {}
    )
    try:
        if not {'thresholds', 'score_threshold'} <= set(options):
            raise InputError('it has no thresholds (a list of numbers) and score_threshold')
        ConditionalTesting(**options)
    except InputError as e:
        raise InputError(f'{WHERE}.thresholds file {path!r}: {e}; {REMEDY}') from e
    return options


def _require(condition: Any, name: str, value: Any, expected: str) -> None:
    if not condition:
        raise InputError(f'{WHERE}.{name}={value!r}: expected {expected}')
