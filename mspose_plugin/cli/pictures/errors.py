"""The picture of ``mspose analyze``: kinds of error by joint, confusion of joints, costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from mspose_plugin.cli.pictures.style import figure, kind_of, save, words
from mspose_plugin.evaluation.error_summary import cost, headlines
from mspose_plugin.evaluation.pose_errors import KINDS

KIND_COLOURS = dict(
    good='#0072B2', jitter='#56B4E9', inversion='#E69F00', swap='#CC79A7', miss='#4D4D4D'
)


def draw(summary: Mapping[str, Any], path: str) -> None:
    """Draw and save.

    Args:
        summary: of :func:`mspose_plugin.evaluation.error_summary.summarize`.
        path: of the picture.
    """
    joints = len(summary['joints'])
    made = figure(880 + 40 * joints, 260 + 26 * joints)
    bars, matrix, costs = made.subplots(
        1, 3, width_ratios=(430, 240 + 40 * joints, 290), squeeze=True
    )
    _bars(bars, summary)
    _matrix(matrix, summary['taken_for'])
    _costs(costs, summary)
    made.suptitle(f'Errors of {summary["persons"]} persons', fontsize=13)
    save(made, path)


def _bars(axes: Axes, summary: Mapping[str, Any]) -> None:
    totals: dict[str, np.ndarray] = {}
    for name, kinds in summary['joints'].items():
        joint = kind_of(name)
        totals[joint] = totals.get(joint, 0) + np.array([kinds[k] for k in KINDS])
    totals = {name: counts for name, counts in totals.items() if counts.sum()}
    totals['all'] = np.sum(list(totals.values()), axis=0)
    shares = np.array([100 * counts / counts.sum() for counts in totals.values()])
    starts = np.cumsum(shares, axis=1) - shares
    for k, kind in enumerate(KINDS):
        missing = ' (no neighbours annotated)' if kind == 'swap' and not summary['swaps'] else ''
        drawn = axes.barh(
            list(totals),
            shares[:, k],
            left=starts[:, k],
            color=KIND_COLOURS[kind],
            label=kind + missing,
            height=0.75,
        )
        labels = [f'{share:.0f}' if share >= 4 else '' for share in shares[:, k]]
        axes.bar_label(
            drawn, labels, label_type='center', color='black' if k in (1, 2, 3) else 'white'
        )
    axes.invert_yaxis()
    axes.set(xlim=(0, 100), xlabel='% of the labelled joints', title='Kind of error')
    axes.legend(loc='upper center', bbox_to_anchor=(0.4, -0.12), ncols=2, frameon=False)


def _matrix(axes: Axes, taken_for: Mapping[str, Mapping[str, int]]) -> None:
    counts = np.array([list(row.values()) for row in taken_for.values()], float)
    if not counts[:, -2].any():  # nobody else's
        counts = np.delete(counts, -2, axis=1)
    columns = [*taken_for, *(['another person'] if counts.shape[1] == len(counts) + 2 else [])]
    columns = [words(name) for name in [*columns, 'nothing']]
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    wrong = shares.copy()
    np.fill_diagonal(wrong, np.nan)
    axes.imshow(wrong, cmap='cividis', vmin=0, vmax=max(np.nanmax(wrong), 1), aspect='auto')
    half = np.nanmax(wrong) / 2
    for (i, j), share in np.ndenumerate(shares):
        if share >= 0.1:
            text = f'{share:.0f}' if share >= 9.95 else f'{share:.1f}'
            colour = 'black' if i == j or share > half else 'white'
            axes.text(j, i, text, ha='center', va='center', fontsize=8, color=colour)
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha='right', rotation_mode='anchor')
    axes.set_yticks(range(len(counts)), [words(name) for name in taken_for])
    axes.spines[:].set_visible(False)
    axes.set(title='Taken for which joint (%, diagonal: found)')


def _costs(axes: Axes, summary: Mapping[str, Any]) -> None:
    names, kinds = headlines(summary), list(summary['corrected'])
    height = 0.8 / len(names)
    hatches = ('', '///', '...', 'xxx')
    for m, name in enumerate(names):
        gains = [cost(summary, kind, name) or 0.0 for kind in kinds]
        drawn = axes.barh(
            np.arange(len(kinds)) + m * height,
            gains,
            height * 0.92,
            color=[KIND_COLOURS[kind] for kind in kinds],
            hatch=hatches[m],
            edgecolor='white',
        )
        axes.bar_label(drawn, [f' +{gain:.1f} {name}' for gain in gains], fontsize=8)
    axes.set_yticks(np.arange(len(kinds)) + 0.4 - height / 2, kinds)
    axes.invert_yaxis()
    now = [f'{name} is {summary["metrics"][name]:.1f}' for name in names]
    axes.set(xlabel='\n'.join(['points gained', '', *now]), title='If these errors were corrected')
    axes.margins(x=0.4)
