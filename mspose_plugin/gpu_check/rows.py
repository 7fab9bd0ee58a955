"""A row of the check: what was measured, or why it could not be."""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from mspose_plugin.utils.errors import said

OK, FAILED, SKIPPED, NO_MEMORY = 'ok', 'failed', 'skipped', 'out of memory'
"""The states of a row."""

Row = dict[str, Any]
"""``what``, ``state``, ``figures`` (name -> number or word) and ``why`` the state is no other."""


@dataclass(frozen=True)
class Settings:
    """What the parts are told.

    Args:
        device: such as ``'cuda'``.
        quick: tiny networks and few repeats, to see that everything runs.
        seed: of weights and data.
        config: whose speed is measured.
        configs: that make a training step.
        batches: batch sizes of the training's speed; the first one in every way.
        plan: file of the training's recipes.
        recipes: some of its variants.
        folder: for data and runs.
        logs: folder for what the parts print.
        workers: processes that make the data; a training has some of them load it.
    """

    device: str
    quick: bool
    seed: int
    config: str
    configs: tuple[str, ...]
    batches: tuple[int, ...]
    plan: str
    recipes: tuple[str, ...]
    folder: str
    logs: str
    workers: int

    @property
    def gpu(self) -> bool:
        """Whether the device is a GPU of NVIDIA or AMD."""
        return torch.device(self.device).type == 'cuda'


def row(what: str, state: str = OK, why: str = '', **figures: Any) -> Row:
    """Return a row.

    Args:
        what: was measured.
        state: one of the states. Defaults to ``'ok'``.
        why: it is in another state. Defaults to nothing.
        **figures: what was measured.
    """
    return dict(what=what, state=state, figures=figures, why=why)


def measured(
    tasks: Iterable[tuple[str, Callable[[], dict[str, Any]]]], deadline: float
) -> Iterator[Row]:
    """Measure one thing after the other, while there is time.

    Args:
        tasks: names, and functions that return figures; ``fault`` among them is why these fail.
        deadline: on the clock of ``time.monotonic``; what would begin later is skipped.

    Yields:
        A row for each.
    """
    for what, measure in tasks:
        if time.monotonic() > deadline:
            yield row(what, SKIPPED, 'no time left')
        else:
            yield _measured(what, measure)
            gc.collect()
            torch.cuda.empty_cache()


def _measured(what: str, measure: Callable[[], dict[str, Any]]) -> Row:
    start = time.monotonic()
    try:
        figures = measure()
        fault = figures.pop('fault', '')
        found = row(what, FAILED if fault else OK, fault, **figures)
    except torch.OutOfMemoryError:
        found = row(what, NO_MEMORY)
    except Exception as e:
        traceback.print_exc()
        found = row(what, FAILED, said(e))
    return dict(found, seconds=round(time.monotonic() - start, 1))
