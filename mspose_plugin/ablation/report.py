"""Tables and plot of a plan's results."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mspose_plugin.ablation.bootstrap import Bootstrap, Estimate
from mspose_plugin.ablation.persons import parts_of
from mspose_plugin.ablation.plan import Plan
from mspose_plugin.cli.output import as_markdown
from mspose_plugin.evaluation.metrics import unpack_bits
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.files import write_file

HEADLINES = ('AUC', 'PCKh@0.1', 'coco/AP', 'coco/AR', 'cost/passes')
"""Metrics of the first table, where the rows have them."""
SHARES = 'coco/'
"""Start of the metrics that are shares of 1."""
FEWEST = 10
"""Persons that every part of a split must have; an interval over fewer says nothing."""
BLUE, ORANGE = '#0072B2', '#D55E00'
"""Of Okabe and Ito's palette, told apart by everybody."""


@dataclass(frozen=True)
class Difference:
    """A variant compared with another, by the names of parts."""

    variant: str
    against: str
    parts: dict[str, Estimate]


@dataclass(frozen=True)
class Report:
    """What the results of a plan say.

    Args:
        rows: variant -> its results, a seed each.
        shares: variant -> part of the persons, or group of joints, -> share of joints found.
        differences: every variant against those that it is compared with, same seeds.
        counts: part -> number of joints.
        groups: names of the groups of joints.
        persons: their number.
        images: that of their images.
    """

    rows: dict[str, list[dict[str, Any]]]
    shares: dict[str, dict[str, Estimate]]
    differences: list[Difference]
    counts: dict[str, int]
    groups: list[str]
    persons: int
    images: int


def read_report(plan: Plan, folder: str | Path, draws: int = 2000) -> Report:
    """Read the results of a plan and count.

    Args:
        plan: the plan.
        folder: of the result files; rows without any are left out.
        draws: of the bootstrap. Defaults to 2000.

    Raises:
        InputError: there are no results of persons.
    """
    rows: dict[str, list[dict[str, Any]]] = {}
    for name in plan.variants:
        files = sorted(Path(folder).glob(f'{name}_[0-9]*.json'))
        found = [json.loads(file.read_text()) for file in files]
        found = sorted((r for r in found if r['variant'] == name), key=lambda r: r['seed'])
        if found:
            rows[name] = found
    check(rows, f'{folder}: no results of {plan.path}; run mspose ablate first')
    path = Path(folder, 'persons.json')
    there = path.is_file() and any('hits' in r for found in rows.values() for r in found)
    counts = 'PCKhAUC or BoxPCK among its evaluators'
    check(there, f'{folder}: its results say nothing of persons; a plan needs {counts} for it')
    persons = json.loads(path.read_text())
    shape = len(persons['ids']), len(persons['joints'])
    splits = parts_of(persons)
    parts = splits.pop('all')
    for split in splits.values():
        if min(mask.any(axis=1).sum() for mask in split.values()) >= FEWEST:
            parts |= split
    for name, joints in persons['groups'].items():
        parts[name] = parts['all'] & np.isin(np.arange(shape[1]), joints)
    labelled = {name: mask.sum(axis=1) for name, mask in parts.items()}
    images = persons.get('images', range(shape[0]))  # of no annotations that we read
    bootstrap = Bootstrap(images, draws)
    hits: dict[str, dict[int, dict[str, np.ndarray]]] = {}
    for name, found in rows.items():
        for result in (r for r in found if 'hits' in r):
            bits = unpack_bits(result['hits'], shape)
            counted = {part: (bits & mask).sum(axis=1) for part, mask in parts.items()}
            hits.setdefault(name, {})[result['seed']] = counted
    shares = {
        name: {
            part: bootstrap.estimate(np.array([s[part] for s in seeds.values()]), labelled[part])
            for part in parts
        }
        for name, seeds in hits.items()
    }
    differences = []
    for name, variant in plan.variants.items():
        for other in variant.against:
            ours, theirs = hits.get(name, {}), hits.get(other, {})
            common = sorted(ours.keys() & theirs.keys())
            if common:
                estimates = {
                    part: bootstrap.estimate(
                        np.array([ours[s][part] - theirs[s][part] for s in common]), labelled[part]
                    )
                    for part in parts
                }
                differences.append(Difference(name, other, estimates))
    joints = {part: int(number.sum()) for part, number in labelled.items()}
    groups = list(persons['groups'])
    return Report(rows, shares, differences, joints, groups, shape[0], len(set(images)))


def markdown(report: Report) -> str:
    """Return the tables: all joints and each kind, differences, and those of the parts."""
    parts = [part for part in report.counts if part not in report.groups]
    metrics = [r['metrics'] for found in report.rows.values() for r in found]
    keys = [key for key in HEADLINES if any(m.get(key) is not None for m in metrics)]
    first = []
    for name, found in report.rows.items():
        results = [r for r in found if 'diverged' not in r] or found
        lost = len(found) - len(results)
        seeds = f'{len(results)}, {lost} diverged' if lost else str(len(results))
        steps = results[0].get('steps')
        seconds = [r['seconds'] for r in results if r['seconds'] is not None]
        minutes = f'{np.mean(seconds) / 60:.1f}' if seconds else '-'  # all were resumed
        shares = report.shares.get(name)
        lead = [name.replace('_', ' '), seeds, str(steps or '-'), minutes]
        if shares is None:
            what = 'diverged' if lost else '-'
            first.append([*lead, what, *[''] * (2 + len(keys) + len(report.groups))])
            continue
        total = shares['all']
        first.append(
            [
                *lead,
                f'{total.value:.2f}',
                f'{total.low:.2f} to {total.high:.2f}',
                f'{total.spread:.2f}' if len(total.seeds) > 1 else '-',
                *('-' if (m := _mean(results, key)) is None else f'{m:.2f}' for key in keys),
                *(_share(shares[group]) for group in report.groups),
            ]
        )
    header = ['row', 'seeds', 'steps', 'minutes', 'joints found, %', '95 %', 'spread']
    text = as_markdown([*header, *keys, *report.groups], first)
    heads = [f'{part} ({report.counts[part]})' for part in parts]
    if len(parts) > 1:
        text += '\nShare of the joints of each part, in percent (number of joints):\n\n'
        text += as_markdown(
            ['row', *heads],
            [
                [name.replace('_', ' '), *(_share(shares[part]) for part in parts)]
                for name, shares in report.shares.items()
            ],
        )
    if report.differences:
        text += '\nDifferences in points, 95 % of the draws of images and seeds:\n\n'
        text += as_markdown(
            ['row', 'against', 'seeds', *parts],
            [
                [
                    d.variant.replace('_', ' '),
                    d.against.replace('_', ' '),
                    str(len(d.parts['all'].seeds)),
                    *(_signed(d.parts[part]) for part in parts),
                ]
                for d in report.differences
            ],
        )
    results = [r for found in report.rows.values() for r in found]
    commits, torches, devices, dates = (
        ', '.join(sorted({r[key] for r in results}))
        for key in ('commit', 'torch', 'device', 'date')
    )
    return (
        f'{text}\n{report.persons} unseen persons on {report.images} images; commit {commits}, '
        f'torch {torches}, {devices}, {dates}.\n'
    )


def draw(report: Report, path: str) -> None:
    """Draw every row's share and every difference, with intervals and each seed's value.

    Args:
        report: of :func:`read_report`.
        path: picture to write; PNG, PDF or SVG by its ending.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    left = {name.replace('_', ' '): shares['all'] for name, shares in report.shares.items()}
    right = {
        f'{d.variant} − {d.against}'.replace('_', ' '): d.parts['all'] for d in report.differences
    }
    panels = [('joints found (%)', left, BLUE, 'o'), ('difference (points)', right, ORANGE, 's')]
    panels = [panel for panel in panels if panel[1]]
    height = 1.2 + 0.4 * max(len(panel[1]) for panel in panels)
    figure = Figure(figsize=(6.5 * len(panels), height), layout='constrained')
    FigureCanvasAgg(figure)
    for i, (title, estimates, colour, marker) in enumerate(panels, 1):
        axes = figure.add_subplot(1, len(panels), i)
        for y, one in enumerate(estimates.values()):
            axes.plot((one.low, one.high), (y, y), color=colour, linewidth=2)
            axes.plot(one.value, y, marker, color=colour, markersize=7)
            axes.plot(one.seeds, [y + 0.22] * len(one.seeds), '|', color='black', markersize=6)
        if title.startswith('diff'):
            axes.axvline(0, color='black', linewidth=0.8)
        axes.set_yticks(range(len(estimates)), list(estimates))
        axes.set_ylim(len(estimates) - 0.4, -0.6)
        axes.set_title(f'{title}: mean, 95 % interval; strokes: seeds', fontsize=10)
        axes.grid(axis='x', alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=path.rsplit('.', 1)[-1].lower(), dpi=110)
    write_file(path, buffer.getvalue())


def _mean(results: Sequence[dict[str, Any]], key: str) -> float | None:
    values = [r['metrics'].get(key) for r in results]
    known = [value for value in values if value is not None]
    factor = 100.0 if key.startswith(SHARES) else 1.0
    return factor * float(np.mean(known)) if known and len(known) == len(values) else None


def _share(one: Estimate) -> str:
    return '-' if np.isnan(one.value) else f'{one.value:.1f}'


def _signed(one: Estimate) -> str:
    if np.isnan(one.value):
        return '-'
    return f'{one.value:+.1f} ({one.low:+.1f} to {one.high:+.1f})'
