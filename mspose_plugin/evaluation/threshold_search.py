"""Search for options of conditional testing on recorded trials: which gain most for their cost?

Ke et al. (ECCV 2018, §4.1) take tau_c and tau_s from the validation set and do not say how. The
search here is this project's. It replays trials that were recorded once, with the same code that
testing runs (:func:`retry_and_fuse`), on one half of the images:

1. Perturbations are taken one by one, each time the one that helps most, for several agreements.
2. For each such list tau_c is chosen so that the least confident 0.5 ... 50 % of each keypoint are
   tried again: one share for all keypoints, a threshold for each. (Shares fitted keypoint by
   keypoint gained more on the half they were fitted on and next to nothing on the other.)
3. For each it is seen how many trials a round should have, after which a person may be done;
   then tau_s.

What helps most is the gain in accuracy that is certain (``CERTAINTY`` standard errors below the
measured one, over images) for each extra pass through the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from mspose_plugin.models.pose_estimators.conditional_options import ConditionalOptions
from mspose_plugin.models.pose_estimators.fusion import Outcome, below, retry_and_fuse

SHARES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5)
AGREEMENTS = (0.0, 0.02, 0.05, 0.1)
SCORE_QUANTILES = (0.25, 0.5, 0.75)
CERTAINTY = 3.0  # of the best of some thousand settings two standard errors would say little
AIMS = ('per-pass', 'gain')


@dataclass(frozen=True, eq=False)
class Recording:
    """Every trial of every person, and how accurate each is.

    Args:
        perturbations: ``[P, 3]``, those that were tried.
        keypoints: ``[1 + P, N, K, 2]``, the first estimate and the trials, in image pixels; NaN for
            trials that were not made.
        scores: ``[1 + P, N, K]``, their confidences.
        sides: ``[N]``, longer side of the padded boxes in image pixels.
        images: ``[N]``, integers: persons of one image are not independent of each other.
        truth: ``[N, K, 2]``, true positions in image pixels.
        norms: ``[N, K]``, the distance in pixels that counts as 1, positive.
        weights: ``[N, K]``, not negative; 0 where a keypoint does not count.
        credit: turns such distances ``[N, K]`` into 0 (missed) ... 1 (found). Accuracy is the
            weighted mean of that.
        passes: images that go through the network for one estimate (2 with flip testing). Default:
            1.
    """

    perturbations: np.ndarray
    keypoints: np.ndarray
    scores: np.ndarray
    sides: np.ndarray
    images: np.ndarray
    truth: np.ndarray
    norms: np.ndarray
    weights: np.ndarray
    credit: Callable[[np.ndarray], np.ndarray]
    passes: int = 1

    def part(self, persons: np.ndarray) -> Recording:
        """Return the recording of some persons ``[n]`` (bool or indices)."""
        return replace(
            self,
            keypoints=self.keypoints[:, persons],
            scores=self.scores[:, persons],
            **{
                name: getattr(self, name)[persons]
                for name in ('sides', 'images', 'truth', 'norms', 'weights')
            },
        )

    def halves(self, seed: int) -> Iterator[Recording]:
        """Split at random; persons of one image stay together."""
        images = np.unique(self.images)
        chosen = np.random.default_rng(seed).permutation(images)[: (len(images) + 1) // 2]
        first = np.isin(self.images, chosen)
        yield from (self.part(first), self.part(~first))

    def replay(self, chosen: Sequence[int], **options: Any) -> Outcome:
        """Test conditionally with the perturbations ``chosen``; see :class:`ConditionalOptions`."""
        at = 1 + np.asarray(chosen, int)
        return retry_and_fuse(
            self.keypoints[0],
            self.scores[0],
            self.sides,
            self._made[:, at - 1],
            ConditionalOptions(perturbations=self.perturbations[list(chosen)], **options),
            lambda who, which: (self.keypoints[at[which], who], self.scores[at[which], who]),
        )

    def points(self, keypoints: np.ndarray) -> np.ndarray:
        """Return the share of the accuracy, in percent, that each keypoint gives ``[N, K]``."""
        distances = np.sqrt(((keypoints.astype(np.float64) - self.truth) ** 2).sum(axis=-1))
        return 100 * self._shares * self.credit(distances / self.norms)

    @cached_property
    def plain(self) -> np.ndarray:
        """:meth:`points` of the first estimates ``[N, K]``."""
        return self.points(self.keypoints[0])

    @cached_property
    def _made(self) -> np.ndarray:
        return np.isfinite(self.keypoints[1:, :, 0, 0]).T

    @cached_property
    def _shares(self) -> np.ndarray:
        return self.weights / max(self.weights.sum(), 1e-9)

    @cached_property
    def _members(self) -> csr_array:
        """Which person is in which image ``[G, N]``."""
        _, image = np.unique(self.images, return_inverse=True)
        return csr_array((np.ones(len(image)), (image, np.arange(len(image)))))

    @cached_property
    def _image_shares(self) -> np.ndarray:
        return self._members @ self._shares.sum(axis=1)

    def certain(self, gains: np.ndarray) -> np.ndarray:
        """Return ``CERTAINTY`` standard errors below the sum of ``gains`` ``[N, L]``: ``[L]``."""
        gain, images = gains.sum(axis=0), self._members @ gains
        rest = images - self._image_shares[:, None] * gain
        # of a ratio, by linearisation: a resampled image brings its gain and its weight
        error = np.sqrt((rest**2).sum(axis=0) * len(rest) / max(len(rest) - 1, 1))
        return gain - CERTAINTY * error

    def interval(
        self, gains: np.ndarray, confidence: float, seed: int, samples: int = 1000
    ) -> tuple[float, float]:
        """Return the bootstrap interval, over images, of the sum of ``gains`` ``[N]``."""
        images, count = self._members @ gains, self._members.shape[0]
        drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), samples)
        sums = drawn @ images / np.maximum(drawn @ self._image_shares, 1e-9)
        tail = (1 - confidence) / 2
        return tuple(np.quantile(sums, (tail, 1 - tail)).tolist())


class Setting(NamedTuple):
    """Options of conditional testing and what they are worth on the half they were chosen on.

    Args:
        chosen: indices of the perturbations, in order.
        options: the other options of :class:`ConditionalOptions`.
        value: gain per extra pass (or gain) that is certain. Where none is: how far the gain is
            from it, in points, not positive.
    """

    chosen: tuple[int, ...]
    options: dict[str, Any]
    value: float


class Search:
    """Find the best setting on a recording.

    Args:
        recording: the half to search on.
        aim: ``'per-pass'``: the greatest certain gain per extra pass; ``'gain'``: the greatest
            certain gain. Default: ``'per-pass'``.
        max_passes: network passes of a person, mean, that a setting may take. Default: no limit.
    """

    def __init__(
        self, recording: Recording, aim: str = 'per-pass', max_passes: float = np.inf
    ) -> None:
        """Find the levels of tau_c and what lies below each."""
        self.recording, self.aim = recording, aim
        self.max_extra = max_passes - recording.passes
        scores = recording.scores[0]
        self.levels = np.zeros((scores.shape[1], 1 + len(SHARES)))
        for k, counts in enumerate(((recording.weights > 0) & np.isfinite(scores)).T):
            if counts.any():
                levels = np.quantile(scores[counts, k], SHARES, method='midpoint')
                self.levels[k, 1:] = [max(float(f'{level:.6g}'), 0.0) for level in levels]
        self.below = np.stack(  # [N, L, K]
            [below(scores, level) for level in self.levels.T], axis=1
        )

    def best(self) -> Setting:
        """Return the best setting found; its value is not positive where nothing is certain."""
        top = max((self._perturbations(agreement) for agreement in AGREEMENTS), key=_value)
        trials = self.recording.scores[1 + np.array(top.chosen)]
        for level in np.quantile(trials[np.isfinite(trials)], SCORE_QUANTILES):
            if level > 0:
                other = self._fit(top.chosen, top.options['agreement'], float(f'{level:.6g}'))
                top = max(top, self._stop_early(other), key=_value)
        return top

    def _perturbations(self, agreement: float) -> Setting:
        """Add perturbations one by one, until two in a row have not helped."""
        top: Setting | None = None
        chosen: tuple[int, ...] = ()
        while len(chosen) < len(self.recording.perturbations) and (
            top is None or len(chosen) < len(top.chosen) + 2
        ):
            rest = set(range(len(self.recording.perturbations))) - set(chosen)
            step = max((self._fit((*chosen, one), agreement) for one in sorted(rest)), key=_value)
            chosen, top = step.chosen, max(top or step, self._stop_early(step), key=_value)
        assert top is not None  # there is at least one perturbation
        return top

    def _stop_early(self, setting: Setting) -> Setting:
        """Return the setting with the best number of trials in a round."""
        top = setting
        for step in range(1, len(setting.chosen)):
            options = {**setting.options, 'trials_per_round': step}
            out = self.recording.replay(setting.chosen, **options)
            gains = self.recording.points(out.keypoints) - self.recording.plain
            value = self._worth(gains.sum(axis=1)[:, None], out.trials.mean()[None])[0]
            top = max(top, Setting(setting.chosen, options, float(value)), key=_value)
        return top

    def _fit(self, chosen: tuple[int, ...], agreement: float, tau_s: float = 0.0) -> Setting:
        """Choose tau_c for perturbations that are all tried in one round.

        What the trials of a keypoint are fused to then depends on no threshold, and the gain of
        any tau_c is the sum over the keypoints below it.
        """
        recording, options = self.recording, dict(agreement=agreement, score_threshold=tau_s)
        out = recording.replay(chosen, thresholds=self.levels[:, -1], **options)
        gains = recording.points(out.keypoints) - recording.plain
        # a person takes the same number of trials whichever threshold asks for them
        trials = (self.below.any(axis=2) * out.trials[:, None]).mean(axis=0)
        values = self._worth((gains[:, None] * self.below).sum(axis=2), trials)
        best = values.argmax()
        return Setting(
            chosen, dict(thresholds=self.levels[:, best], **options), float(values[best])
        )

    def _worth(self, gains: np.ndarray, trials: np.ndarray) -> np.ndarray:
        """Return the value of settings.

        Args:
            gains: ``[N, L]``, of each person.
            trials: ``[L]``, mean over persons.
        """
        certain, extra = self.recording.certain(gains), trials * self.recording.passes
        rate = certain / np.maximum(extra, 1e-9) if self.aim == 'per-pass' else certain
        worth = np.where(certain > 0, rate, certain)
        allowed = (gains.sum(axis=0) > 0) & (extra <= self.max_extra)
        return np.where(allowed, worth, -np.inf)


def _value(setting: Setting) -> float:
    return setting.value
