"""How many images a training step takes in a second, and how much memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from timeit import Timer
from typing import Any

import numpy as np
import torch
from torch.utils.benchmark import timer

from mspose_plugin.cli.configs import load_config
from mspose_plugin.gpu_check import step
from mspose_plugin.gpu_check.rows import SKIPPED, Row, Settings, measured, row

WARM_UP = 4
CHUNKS = 5


@dataclass(frozen=True)
class Way:
    """A way to train.

    Args:
        batch: number of images.
        precision: a key of :data:`~mspose_plugin.gpu_check.step.WRAPPERS`.
        plain: the published hourglass in place of the config's network. Defaults to False.
        channels_last: lay out tensors so. Defaults to False.
        compiled: with ``torch.compile``. Defaults to False.
    """

    batch: int
    precision: str
    plain: bool = False
    channels_last: bool = False
    compiled: bool = False

    def __str__(self) -> str:
        """Return its name in the table."""
        words = ['plain hourglass' if self.plain else 'MSSPose', self.precision]
        words += ['channels-last'] * self.channels_last + ['compiled'] * self.compiled
        return f'{" ".join(words)}, batch {self.batch}'


def ways(settings: Settings) -> list[Way]:
    """Return what is measured, the most important first; quickly, nothing is compiled.

    Args:
        settings: with the batch sizes; all ways are tried with the first.
    """
    first, *others = settings.batches
    main = [
        Way(first, 'fp32', plain=True),
        Way(first, 'bf16', channels_last=True),
        Way(first, 'fp32'),
        Way(first, 'tf32'),
        Way(first, 'bf16'),
        Way(first, 'fp16', channels_last=True),
        Way(first, 'tf32', plain=True),
    ]
    sizes = [
        way
        for batch in others
        for way in (Way(batch, 'fp32', plain=True), Way(batch, 'bf16', channels_last=True))
    ]
    # a compilation takes minutes and cannot be interrupted: what is behind it may be lost
    compiled = [Way(first, 'bf16', channels_last=True, compiled=True)]
    compiled += [Way(batch, 'bf16', channels_last=True, compiled=True) for batch in others[-1:]]
    more = [
        Way(first, 'bf16', compiled=True),
        Way(first, 'fp32', compiled=True),
    ]
    found = [*main, Way(first, 'fp16'), *sizes, *compiled, *more]
    return [way for way in found if not (way.compiled and settings.quick)]


def throughput(settings: Settings, deadline: float) -> Iterator[Row]:
    """Yield a row for every way."""
    torch.backends.cudnn.benchmark = True
    reasons = {way: _obstacle(way, settings) for way in ways(settings)}
    possible = [way for way, why in reasons.items() if not why]
    yield from measured(
        ((str(way), partial(_measure, way, settings)) for way in possible), deadline
    )
    for way, why in reasons.items():
        if why:
            yield row(str(way), SKIPPED, why)


def _obstacle(way: Way, settings: Settings) -> str:
    """Say why a way is not possible on this machine, if it is not."""
    if settings.gpu:
        return step.without_compiler() if way.compiled else ''
    return 'needs a GPU' if way.precision in ('tf32', 'fp16') else ''


def _measure(way: Way, settings: Settings) -> dict[str, Any]:
    torch.compiler.reset()
    cfg = load_config(settings.config, {'model.channels_last': way.channels_last})
    build = step.of_plain_hourglass if way.plain else step.of_config
    one = build(cfg, way.batch, settings.device, way.precision, settings.seed)
    if way.compiled:
        step.compile_stacks(one.model)
    for _ in range(1 if settings.quick else WARM_UP):
        one()
    if settings.gpu:
        torch.cuda.reset_peak_memory_stats(settings.device)
    seconds = seconds_of(one, 0.0 if settings.quick else 0.5)
    memory = torch.cuda.max_memory_allocated(settings.device) / 2**30 if settings.gpu else None
    return dict(images_per_second=way.batch / seconds, ms=seconds * 1e3, peak_gib=memory)


def seconds_of(run: Any, least: float) -> float:
    """Return the median time of a run, of several in a row without waiting for the GPU between.

    Args:
        run: what is timed.
        least: seconds that one of five measurements takes at least.
    """
    timed = Timer(run, timer=timer)  # waits for a GPU before it reads the clock
    number = max(1, round(least / max(timed.timeit(1), 1e-6)))
    return float(np.median(timed.repeat(CHUNKS if least else 1, number))) / number
