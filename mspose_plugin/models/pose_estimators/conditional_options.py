"""Options of conditional testing, from ``test_cfg.conditional`` and from threshold files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from mspose_plugin.utils.checks import check, check_keys, check_number, check_value, numbers
from mspose_plugin.utils.errors import InputError
from mspose_plugin.utils.files import read_json

WHERE = 'test_cfg.conditional'
REMEDY = 'write one with mspose calibrate CONFIG CHECKPOINT --out FILE'
PERTURBATIONS = ((-0.08, 0.0, 1.0), (0.08, 0.0, 1.0), (0.0, -0.08, 1.0), (0.0, 0.08, 1.0))


@dataclass(frozen=True, eq=False)
class ConditionalOptions:
    """Options of ``test_cfg.conditional``.

    The paper (Ke et al., ECCV 2018, §4.1) has two thresholds, from the validation set. It does not
    say which perturbations to try, how many, or how to fuse the trials; these options are ours.

    Args:
        thresholds: tau_c, below which a keypoint is estimated again: ``[K]``, or ``[1]`` for all
            keypoints. In a config also one number, or a file of ``mspose calibrate``, which
            then also gives the other options, except for those that the config sets. With 0 a
            keypoint never asks for another trial.
        score_threshold: tau_s, above which a trial of a keypoint counts; not negative. Default: 0.
        perturbations: ``[P, 3]``, in this order: dx, dy (fractions of the padded box's width and
            height) and a scale factor. Boxes entirely outside the image are skipped.
            Default: shifts of 0.08 to the left, right, up and down, at scale 1.
        max_trials: budget of a person, extra estimates at most. Default: all perturbations.
        trials_per_round: a person is done once each of its keypoints had a trial that reached
            tau_c, which is checked after this many trials. Fewer cost less and leave less to fuse.
            Default: all trials in one round.
        batch_size: crops in one forward pass, at most; None takes the size of the batch that is
            being tested. Default: None.
        agreement: trials agree if they are at most this far apart, as a fraction of the padded
            box's longer side. Default: 0.05.

    Raises:
        InputError: a value that is not as described.
    """

    thresholds: np.ndarray
    score_threshold: float = 0.0
    perturbations: np.ndarray = field(default_factory=lambda: np.array(PERTURBATIONS))
    max_trials: int | None = None
    trials_per_round: int | None = None
    batch_size: int | None = None
    agreement: float = 0.05

    def __post_init__(self) -> None:
        """Check the values and turn them into arrays."""
        given: Any = self.thresholds
        tau_c: Any = numbers([given] if isinstance(given, (int, float)) else given, (None,))
        known = 'one finite number, one for each keypoint, or a file'
        check_value(tau_c is not None and len(tau_c), f'{WHERE}.thresholds', given, known)
        table: Any = numbers(self.perturbations, (None, 3))
        fits = table is not None and len(table) and (table[:, 2] > 0).all()
        known = 'a list of (dx, dy, scale factor), the factor positive'
        check_value(fits, f'{WHERE}.perturbations', self.perturbations, known)
        for name in ('score_threshold', 'agreement'):
            check_number(f'{WHERE}.{name}', getattr(self, name), 0)
        for name in ('max_trials', 'trials_per_round', 'batch_size'):
            if getattr(self, name) is not None:
                check_number(f'{WHERE}.{name}', getattr(self, name), 1, whole=True)
        object.__setattr__(self, 'thresholds', tau_c)
        object.__setattr__(self, 'perturbations', table[: self.max_trials])

    @classmethod
    def from_cfg(cls, cfg: Mapping[str, Any]) -> ConditionalOptions:
        """Read ``test_cfg.conditional``; ``thresholds`` may name a file.

        Raises:
            InputError: unknown or missing entries, or a threshold file that cannot be used.
        """
        check_keys(WHERE, cfg, [f.name for f in fields(cls)])
        options = {key: value for key, value in cfg.items() if value is not None}
        check('thresholds' in options, f'{WHERE}.thresholds: give numbers or a file; {REMEDY}')
        if isinstance(options['thresholds'], str):
            options = {**cls._read(options.pop('thresholds')), **options}
        return cls(**options)

    @classmethod
    def _read(cls, path: str) -> dict[str, Any]:
        """Return the options in a file of ``mspose calibrate``."""
        place = f'{WHERE}.thresholds file'
        content = read_json(path, place, REMEDY)
        stored = content if isinstance(content, dict) else {}
        names = [f.name for f in fields(cls) if stored.get(f.name) is not None]
        options = {name: stored[name] for name in names}
        complete = {'thresholds', 'score_threshold'} <= set(options)
        try:
            check(complete, 'it has no thresholds (a list of numbers) and score_threshold')
            cls(**options)
        except InputError as e:
            raise InputError(f'{place} {path!r}: {e}; {REMEDY}') from e
        return options
