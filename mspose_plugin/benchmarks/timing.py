"""Time two sides by turns, so that a machine that others use as well hardly changes the ratio."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from timeit import Timer

import numpy as np
from torch.utils.benchmark import timer

from mspose_plugin.cli.output import track

COMPARE = {
    'ratio': lambda baseline, candidate: candidate / baseline,
    'ms': lambda baseline, candidate: candidate - baseline,
    's': lambda baseline, candidate: candidate / 1e3,
}
"""How the times of two sides, in ms, become the value that a target is for."""


@dataclass
class Comparison:
    """Two ways to do the same work.

    Attributes:
        name (str): what is compared.
        baseline (Callable[[], None]): one repetition without the addition.
        candidate (Callable[[], None]): one repetition with it.
        target (float, optional): the largest value that is aimed at.
        unit (str): of the value: ``'ratio'`` of the times, ``'ms'`` of their difference, or
            ``'s'`` of the candidate alone.
    """

    name: str
    baseline: Callable[[], object]
    candidate: Callable[[], object]
    target: float | None = None
    unit: str = 'ratio'


@dataclass
class Row:
    """A line of the table.

    Args:
        name: what is compared.
        value: the median, in its unit.
        quartiles: the first and the third.
        unit: see :class:`Comparison`; or ``'GiB'``.
        target: the largest value that is aimed at. Defaults to None.
        holds: whether it is reached. Defaults to None.
        baseline_ms: median time of the baseline. Defaults to None, as where no time is measured.
        candidate_ms: likewise of the candidate.
    """

    name: str
    value: float
    quartiles: tuple[float, float]
    unit: str
    target: float | None = None
    holds: bool | None = None
    baseline_ms: float | None = None
    candidate_ms: float | None = None

    def cells(self) -> list[str]:
        """Return the line, as :func:`show_table` takes it."""
        first, third = self.quartiles
        held = 'held' if self.holds else 'missed'
        return [
            self.name,
            *('' if t is None else f'{t:.2f} ms' for t in (self.baseline_ms, self.candidate_ms)),
            f'{self.value:.3f} {self.unit}',
            f'{first:.3f}-{third:.3f}',
            '' if self.target is None else f'<= {self.target:.2f} {held}',
        ]


def _processor_time() -> float:
    timer()  # waits for a GPU
    return time.process_time()


CLOCKS = {'wall': timer, 'cpu': _processor_time}


def by_turns(
    runs: Sequence[Callable[[], object]], repeats: int, clock: str, what: str
) -> np.ndarray:
    """Time runs by turns: each round in another order, every second one backwards.

    Args:
        runs: what to time.
        repeats: number of rounds.
        clock: ``'wall'``, or ``'cpu'`` for the processor time of this process.
        what: is timed, for the progress bar.

    Returns:
        ``[repeats, number of runs]``, ms.
    """
    timers = [Timer(run, timer=CLOCKS[clock]) for run in runs]
    times = np.zeros((repeats, len(runs)))
    for i in track(range(repeats), what, repeats):
        order = np.roll(np.arange(len(runs)), -(i // 2))
        for k in order[:: -1 if i % 2 else 1]:
            times[i, k] = timers[k].timeit(1) * 1e3
    return times


def measure(comparison: Comparison, repeats: int, clock: str) -> Row:
    """Run a comparison.

    Args:
        comparison: what to run.
        repeats: number of pairs; two more come before them to warm up.
        clock: as for :func:`by_turns`.

    Returns:
        Medians and quartiles over the pairs.
    """
    sides = (comparison.baseline, comparison.candidate)
    times = by_turns(sides, repeats + 2, clock, comparison.name)[2:]
    values = COMPARE[comparison.unit](*times.T)
    first, value, third = np.percentile(values, (25, 50, 75)).tolist()
    baseline, candidate = np.median(times, axis=0).tolist()
    target = comparison.target
    return Row(
        comparison.name,
        value,
        (first, third),
        comparison.unit,
        target,
        None if target is None else value <= target,
        baseline,
        candidate,
    )
