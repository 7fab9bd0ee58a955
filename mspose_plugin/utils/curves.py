"""Training curves, from the scalars that mmengine writes, as a picture."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mspose_plugin.utils.checks import check
from mspose_plugin.utils.files import write_file

TIMES = ('time', 'data_time', 'memory', 'grad_norm', 'epoch', 'iter', 'step')
"""Scalars that say nothing about what was learnt."""
DETAILS = r'^(base_)?lr$|^acc_pose$|[(]|AR|[.]75|-mean'
"""Metrics that would crowd the picture."""
WIDE = 10
"""Ratio of the largest to the smallest value, above which an axis is logarithmic."""
VALIDATION_LOSS = 'val/loss'
Curve = list[tuple[float, float]]
"""Epoch and value of each point; the middle of the third epoch is 2.5."""


@dataclass(frozen=True)
class Curves:
    """The scalars of a run.

    Args:
        lines: name -> points: ``loss`` and its parts, ``lr``, the metrics of validations.
        unit: what the points' first coordinate counts, ``'epoch'`` or ``'iteration'``.
    """

    lines: dict[str, Curve]
    unit: str = 'epoch'


def read_curves(work_dir: str | Path) -> Curves:
    """Read the scalars of a run.

    Args:
        work_dir: of the run. Where it was resumed, each part of the log is taken up to where the
            next one begins.

    Returns:
        What the run logged.

    Raises:
        InputError: no scalars there.
    """
    logs = read_logs(work_dir)
    check(any(logs), f'{work_dir}: no */vis_data/scalars.json of a training; check the path')
    epochs = all(map(_by_epoch, logs)) and any('epoch' in e for log in logs for e in log)
    entries: list[tuple[float, dict[str, Any]]] = []
    for log in logs:
        placed = list(_in_epochs(log) if epochs else _in_iterations(log))
        if placed:
            entries = [e for e in entries if e[0] < placed[0][0]] + placed
    curves: dict[str, Curve] = {}
    for place, entry in entries:
        for name, value in entry.items():
            if name not in TIMES and isinstance(value, int | float) and value == value:
                curves.setdefault(name, []).append((place, value))
    return Curves(curves, 'epoch' if epochs else 'iteration')


def read_logs(work_dir: str | Path) -> list[list[dict[str, Any]]]:
    """Return the scalars that each start of a run has logged, entry by entry."""
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    return [list(_entries(file)) for file in files]


def _entries(file: Path) -> Iterable[dict[str, Any]]:
    for line in file.read_text(encoding='utf-8').splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:  # the last line of a process that was killed
            continue
        if isinstance(entry, dict):
            yield entry


def _by_epoch(log: list[dict[str, Any]]) -> bool:
    """Tell if a run counted epochs.

    One of iterations may say epoch 1 throughout, and step 0 with every validation: mmengine's
    defaults.
    """
    started = [i for i, entry in enumerate(log) if 'iter' in entry][:1]
    validations = (e for i in started for e in log[i:] if 'iter' not in e)
    return all(entry.get('step') for entry in validations)


def _in_iterations(log: list[dict[str, Any]]) -> Iterable[tuple[float, dict[str, Any]]]:
    """Yield the iteration of each entry; a validation is not before what was trained until it."""
    reached = 0.0
    for entry in log:
        if 'step' in entry:
            reached = max(reached, float(entry['step']))
            yield reached, entry


def _in_epochs(log: list[dict[str, Any]]) -> Iterable[tuple[float, dict[str, Any]]]:
    """Yield the epoch of each entry: those of training share an epoch evenly."""
    counts = Counter(entry['epoch'] for entry in log if 'epoch' in entry)
    done: Counter[int] = Counter()
    for entry in log:
        if 'epoch' in entry:
            epoch = entry['epoch']
            done[epoch] += 1
            yield epoch - 1 + done[epoch] / counts[epoch], entry
        elif 'step' in entry:
            yield float(entry['step']), entry


def draw_curves(curves: Curves, path: str, title: str = '') -> None:
    """Draw losses, metrics and the learning rate over epochs or iterations.

    Args:
        curves: of :func:`read_curves`.
        path: picture to write, whole or not at all; PNG, JPEG, PDF or SVG by its ending.
        title: above them. Default: none.

    Raises:
        InputError: nothing to draw.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure  # no pyplot: no window, no state

    lines = curves.lines
    trained = {name for name in lines if 'loss' in name}
    panels = [
        ('loss', {n: c for n, c in lines.items() if n in ('loss', VALIDATION_LOSS)}),
        ('parts of the loss', {n: lines[n] for n in lines if n in trained and '_' in n}),
        ('validation', _metrics(lines)),
        ('learning rate', {n: c for n, c in lines.items() if n == 'lr'}),
    ]
    panels = [(name, chosen) for name, chosen in panels if chosen]
    check(panels, f'{path}: the run has logged no loss, metric or learning rate')
    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(6.0 * columns, 3.8 * rows), layout='constrained')
    FigureCanvasAgg(figure)
    for i, (name, chosen) in enumerate(panels, 1):
        axes = figure.add_subplot(rows, columns, i)
        for label, points in chosen.items():
            few = len(points) < 40
            axes.plot(*zip(*points), label=label, marker='.' if few else None, linewidth=1.3)
        values = [y for points in chosen.values() for _, y in points]
        if name != 'validation' and min(values) > 0 and max(values) > WIDE * min(values):
            axes.set_yscale('log')
        axes.set_title(name)
        axes.set_xlabel(curves.unit)
        axes.grid(alpha=0.3)
        if len(chosen) > 1 or name == 'validation':
            axes.legend(fontsize=8, ncols=1 if len(chosen) < 6 else 2)
    figure.suptitle(title)
    ending = path.rsplit('.', 1)[-1].lower()
    buffer = io.BytesIO()
    figure.savefig(buffer, format=ending, dpi=100)
    write_file(path, buffer.getvalue())


def _metrics(curves: dict[str, Curve]) -> dict[str, Curve]:
    """The metrics of validations, shares such as AP in percent, so that they fit on one axis."""
    chosen = {n: c for n, c in curves.items() if 'loss' not in n and not re.search(DETAILS, n)}
    scaled = {}
    for name, points in chosen.items():
        share = name.startswith('coco/')
        if share:
            # -1 is COCO's word for nothing to count
            points = [(x, 100 * y) for x, y in points if y >= 0]
        if points:
            scaled[f'{name} (%)' if share else name] = points
    return scaled
