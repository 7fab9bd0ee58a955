"""What the rows come to: the goals, and the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mspose_plugin.gpu_check.rows import OK, SKIPPED, Row, Settings, row
from mspose_plugin.gpu_check.throughput import Way, ways

TIMES_PLAIN, IMAGES_PER_SECOND, DATA_PERCENT = 2.0, 500.0, 5.0
"""The goals: at least so many times the plain hourglass's images in float32; at least so many on an
H200; at most so much of a step's time for data."""


def goals(parts: Mapping[str, Sequence[Row]], settings: Settings) -> list[Row]:
    """Return a row for every goal that something was measured for; they are a GPU's.

    Args:
        parts: the rows by the names of the parts.
        settings: of the check.
    """
    return list(_goals(parts, settings)) if settings.gpu else []


def _goals(parts: Mapping[str, Sequence[Row]], settings: Settings) -> Iterator[Row]:
    speeds = {str(way): 0.0 for way in ways(settings)}
    speeds |= {
        r['what']: r['figures']['images_per_second']
        for r in parts.get('throughput', ())
        if r['state'] == OK
    }
    best = 0.0
    for batch in settings.batches:
        ours = max(speeds[str(w)] for w in ways(settings) if w.batch == batch and not w.plain)
        plain = speeds[str(Way(batch, 'fp32', plain=True))]
        best = max(best, ours)
        if ours and plain:
            yield _goal(f'times the plain hourglass, batch {batch}', ours / plain, TIMES_PLAIN)
    gpu = _gpu(parts.get('environment', ()))
    if best and not gpu:
        why = 'the GPU is not known: add environment to --parts'
        yield row('images per second', SKIPPED, why)
    elif best and 'H200' in gpu:
        yield _goal('images per second', best, IMAGES_PER_SECOND)
    waits = [
        r['figures']['data_percent']
        for r in parts.get('training', ())
        if 'data_percent' in r['figures']
    ]
    if waits:
        yield _goal('percent of a step for data', max(waits), DATA_PERCENT, at_most=True)


def _gpu(environment: Sequence[Row]) -> str:
    """Return the name of the GPU, which the row of the machine has as well."""
    found = {r['what']: r['figures'] for r in environment}
    return found.get('GPU', {}).get('name') or found.get('machine', {}).get('device', '')


def _goal(what: str, value: float, target: float, at_most: bool = False) -> Row:
    holds = value <= target if at_most else value >= target
    limit = 'at most' if at_most else 'at least'
    return row(what, 'held' if holds else 'missed', value=value, goal=f'{limit} {target:g}')


def cells(part: str, found: Row) -> list[str]:
    """Return a line of the table: part, what, figures or why there are none, state.

    Args:
        part: its name.
        found: one of its rows.
    """
    figures = found['figures'].items()
    shown = ', '.join(f'{k.replace("_", " ")} {_number(v)}' for k, v in figures if _is_short(v))
    return [part, found['what'], found['why'] or shown, found['state']]


def _is_short(value: Any) -> bool:
    return isinstance(value, int | float | str)


def _number(value: int | float | str) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)
