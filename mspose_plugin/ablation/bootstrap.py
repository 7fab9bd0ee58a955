"""Shares of joints found, with bootstrap intervals over images and seeds.

A draw takes as many images as there are, with replacement, each with its persons, since those of
one image are not independent; and as many seeds, likewise. The images of a draw are the same for
all seeds and rows. The statistic is the share of joints found, averaged over the seeds. Of few
seeds the interval is too short, as of any small sample; of one it says nothing of other seeds at
all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A share, or a difference of shares, in percent.

    Args:
        value: over all persons, the mean of the seeds; NaN where no joint is labelled.
        low: end of the interval that holds 95 % of the draws; NaN likewise.
        high: its other end.
        seeds: each seed's value.
    """

    value: float
    low: float
    high: float
    seeds: tuple[float, ...]

    @property
    def spread(self) -> float:
        """Standard deviation over the seeds; NaN of one."""
        return float(np.std(self.seeds, ddof=1)) if len(self.seeds) > 1 else float('nan')


class Bootstrap:
    """The draws of images, the same for every estimate.

    Args:
        images: the image of each person, by its number from 0, ``[N]``.
        draws: how many. Defaults to 2000.
        seed: of the draws. Defaults to 0.
    """

    def __init__(self, images: Sequence[int], draws: int = 2000, seed: int = 0) -> None:
        self._rng_seed, self._draws = seed, draws
        rng, count = np.random.default_rng(seed), max(images) + 1
        drawn = [
            np.bincount(rng.integers(count, size=count), minlength=count) for _ in range(draws)
        ]
        # [D, N], how often each person is drawn
        self.weights = np.stack(drawn).astype(np.float32)[:, images]

    def seed_weights(self, seeds: int) -> np.ndarray:
        """Return how often each seed is drawn, ``[D, S]``; always the same."""
        rng = np.random.default_rng([self._rng_seed, seeds])
        drawn = rng.integers(seeds, size=(self._draws, seeds))
        return (drawn[..., None] == np.arange(seeds)).sum(axis=1)

    def estimate(self, hits: np.ndarray, labelled: np.ndarray) -> Estimate:
        """Return the share of joints found.

        Args:
            hits: ``[S, N]``, joints of each person that each seed's network found, or the
                difference of two networks' numbers: the difference of their shares.
            labelled: ``[N]``, joints of each person.
        """
        hits = np.asarray(hits, np.float32)
        with np.errstate(invalid='ignore', divide='ignore'):
            seeds = 100.0 * hits.sum(axis=1, dtype=float) / labelled.sum()
            drawn = (
                100.0
                * (self.weights @ hits.T)
                / (self.weights @ labelled.astype(np.float32))[:, None]
            )
        means = (drawn * self.seed_weights(len(hits))).sum(axis=1) / len(hits)
        known = means[np.isfinite(means)]
        low, high = np.quantile(known, (0.025, 0.975)) if len(known) else (np.nan, np.nan)
        return Estimate(float(seeds.mean()), float(low), float(high), tuple(seeds.tolist()))
