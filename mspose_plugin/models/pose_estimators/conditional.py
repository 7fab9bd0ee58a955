"""What conditional testing does, as data: when to try again, where, and how to fuse the trials.

Ke, Chang, Qi, Lyu, "Multi-Scale Structure-Aware Network for Human Pose Estimation", ECCV 2018,
§4.1: a keypoint whose confidence is below tau_c is estimated again with location and scale
perturbed, the trials whose score is above tau_s are fused, and both thresholds come from the
validation set. Which perturbations, in which order, how many, and how trials are fused the paper
does not say: every such value below is this project's and an option.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from mspose_plugin.datasets.checks import numbers, read_json
from mspose_plugin.errors import InputError

WHERE = 'test_cfg.conditional'
REMEDY = 'write one with tools/calibrate_thresholds.py CONFIG CHECKPOINT --out FILE'
PERTURBATIONS = ((0., 0., 0.85), (0., 0., 1.15), (-0.08, 0., 1.), (0.08, 0., 1.), (0., -0.08, 1.),
                 (0., 0.08, 1.))


@dataclass(frozen=True, eq=False)
class ConditionalTesting:
    """Options of ``test_cfg.conditional``.

    Args:
        thresholds: tau_c, below which a keypoint is estimated again: ``[K]``, or ``[1]`` for all
            keypoints. In a config also one number, or a file of ``calibrate_thresholds.py``. With
            0 a keypoint never asks for another trial.
        score_threshold: tau_s, above which a trial of a keypoint counts; not negative. In a config
            the default is the file's, without a file 0.
        perturbations: ``[P, 3]``, in this order: dx, dy (fractions of the padded box's width and
            height) and a scale factor. Boxes that leave the image altogether are passed over.
            Default: scales 0.85 and 1.15, then shifts of 0.08 to the left, right, up and down.
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
    score_threshold: float = 0.
    perturbations: np.ndarray = PERTURBATIONS
    max_trials: int | None = None
    trials_per_round: int | None = None
    batch_size: int | None = None
    agreement: float = 0.05

    def __post_init__(self) -> None:
        """Check the values and turn them into arrays."""
        tau_c = self.thresholds
        tau_c = numbers([tau_c] if isinstance(tau_c, (int, float)) else tau_c, (None, ))
        _require(tau_c is not None and len(tau_c), 'thresholds', self.thresholds,
                 'one finite number, one for each keypoint, or a file')
        table = numbers(self.perturbations, (None, 3))
        _require(table is not None and len(table) and (table[:, 2] > 0).all(), 'perturbations',
                 self.perturbations, 'a list of (dx, dy, scale factor), the factor positive')
        for name in ('score_threshold', 'agreement'):
            value = numbers(getattr(self, name), ())
            _require(value is not None and value >= 0, name, getattr(self, name),
                     'a finite number, not negative')
        for name in ('max_trials', 'trials_per_round', 'batch_size'):
            value = getattr(self, name)
            _require(value is None or isinstance(value, int) and value is not True and value > 0,
                     name, value, 'a positive integer')
        object.__setattr__(self, 'thresholds', tau_c)
        object.__setattr__(self, 'perturbations', table[:self.max_trials])

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
            file = read_thresholds(options['thresholds'])
            options = {**file, **options, 'thresholds': file['thresholds']}
        return cls(**options)

    def below(self, scores: np.ndarray) -> np.ndarray:
        """Return which keypoints are below tau_c.

        Args:
            scores: ``[K]``; a NaN is below.

        Raises:
            InputError: the model has another number of keypoints than there are thresholds.
        """
        if len(self.thresholds) not in (1, len(scores)):
            raise InputError(f'{WHERE}.thresholds has {len(self.thresholds)} values, the model '
                             f'predicts {len(scores)} keypoints; {REMEDY}')
        return ~(scores >= self.thresholds)

    def fuse(self, keypoints: np.ndarray, scores: np.ndarray,
             side: float) -> tuple[np.ndarray, np.ndarray]:
        """Fuse trials, keypoint by keypoint.

        Each trial whose score exceeds tau_s is backed by those that agree with it, itself among
        them, with their scores. The result is the mean, weighted by score, of the positions (and of
        the scores) of those that back the best backed one; of equally backed ones the most
        confident counts. So a single confident mistake is outvoted, and the mean never falls
        between two places. Where no score exceeds tau_s, the most confident trial is the result.

        Args:
            keypoints: ``[T, K, D]`` in image pixels.
            scores: ``[T, K]``; those that are not finite never count.
            side: longer side of the padded box in image pixels.

        Returns:
            Keypoints ``[K, D]`` and scores ``[K]``.
        """
        rank = np.where(np.isfinite(scores), scores, -np.inf)
        votes = np.where(rank > self.score_threshold, rank, 0.)
        apart = np.linalg.norm(keypoints[:, None, :, :2] - keypoints[None, ..., :2], axis=-1)
        agree = apart <= self.agreement * side  # [T, T, K]
        backing = np.where(votes > 0, (agree * votes).sum(axis=1), 0.)
        backed = backing >= backing.max(axis=0) - 1e-6
        best = np.where(backed, rank, -np.inf).argmax(axis=0), np.arange(scores.shape[1])
        counts = (votes > 0) & agree[best[0], :, best[1]].T
        weights = np.where(counts, votes, 0.)
        total = weights.sum(axis=0)
        weights = weights / np.where(total > 0, total, 1.)
        values = np.concatenate([keypoints, scores[..., None]], axis=-1)
        mean = (weights[..., None] * np.where(counts[..., None], values, 0.)).sum(axis=0)
        fused = np.where(total[:, None] > 0, mean, values[best]).astype(keypoints.dtype)
        return fused[:, :-1], fused[:, -1].astype(scores.dtype)


def read_thresholds(path: str) -> dict[str, Any]:
    """Return ``thresholds`` and ``score_threshold`` of a file of ``calibrate_thresholds.py``.

    Raises:
        InputError: no such file, empty, or not such a file.
    """
    content = read_json(path, f'{WHERE}.thresholds file', REMEDY)
    if (not isinstance(content, dict) or numbers(content.get('thresholds'), (None, )) is None
            or not content['thresholds'] or numbers(content.get('score_threshold'), ()) is None):
        raise InputError(f'{WHERE}.thresholds file {path!r} has no thresholds (a list of numbers) '
                         f'and score_threshold (a number); {REMEDY}')
    return {key: content[key] for key in ('thresholds', 'score_threshold')}


def _require(condition: Any, name: str, value: Any, expected: str) -> None:
    if not condition:
        raise InputError(f'{WHERE}.{name}={value!r}: expected {expected}')

