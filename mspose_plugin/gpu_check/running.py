"""The parts, one after the other in processes of their own, and what each may take of the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mspose_plugin.gpu_check.configs import configs
from mspose_plugin.gpu_check.environment import environment
from mspose_plugin.gpu_check.inference import inference
from mspose_plugin.gpu_check.rows import FAILED, SKIPPED, Row, Settings, row
from mspose_plugin.gpu_check.throughput import throughput
from mspose_plugin.gpu_check.training import data, training
from mspose_plugin.utils.processes import generated

Part = Callable[[Settings, float], Iterator[Row]]

PARTS: dict[str, tuple[Part, float]] = dict(
    environment=(environment, 0.03),
    configs=(configs, 0.14),
    throughput=(throughput, 0.24),
    training=(training, 0.49),
    inference=(inference, 0.1),
)
"""Name -> part and its share of the time; what one leaves goes to those after it."""
_TIMED = ('throughput', 'training', 'inference')
"""Parts that nothing else may run beside."""
_BEGIN, _OVERRUN, _LEAST = 0.9, 1.5, 60
"""Shares of a part's time: in which its rows begin, and after which it is ended; but not within so
many seconds, since it may take long to start."""
PRELOAD = ('mspose_plugin.gpu_check.running', 'mmpose.models', 'mmpose.datasets')


def run(settings: Settings, names: Sequence[str], seconds: float) -> Iterator[tuple[str, Row]]:
    """Run parts.

    Args:
        settings: what they are told.
        names: keys of :data:`PARTS`.
        seconds: for all of them.

    Yields:
        The name of a part, and a row of it. The data for the training, the part ``'data'``, are
        made beside the parts that time nothing.
    """
    end = time.monotonic() + seconds
    with ExitStack() as stack:
        making: Callable[[float], Iterator[Row]] | None = None
        if 'training' in names:
            making = stack.enter_context(_started(data, settings, end))
        for i, name in enumerate(names):
            if making and name in _TIMED:
                yield from _rows('data', making, end, end)
                making = None
            part, share = PARTS[name]
            now = time.monotonic()
            own = (end - now) * share / sum(PARTS[n][1] for n in names[i:])
            with _started(part, settings, now + _BEGIN * own) as until:
                yield from _rows(name, until, now + max(_OVERRUN * own, _LEAST), end)


def _started(part: Part, settings: Settings, deadline: float) -> Any:
    log = Path(settings.logs, f'{part.__name__}.log')
    return generated(part, settings, deadline, log=log, preload=PRELOAD)


def _rows(
    name: str, until: Callable[[float], Iterator[Row]], latest: float, end: float
) -> Iterator[tuple[str, Row]]:
    """Yield what a part yields until its latest time or the end of all, and a row if that comes."""
    try:
        for found in until(min(latest, end)):
            yield name, found
    except TimeoutError as e:
        over = latest >= end
        yield name, row('the rest', *((SKIPPED, 'no time left') if over else (FAILED, str(e))))
    except ChildProcessError as e:
        yield name, row('the rest', FAILED, str(e))
