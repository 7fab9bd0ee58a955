"""Draw PCKh (MPII) or PCK (FLIC) over the threshold, of several results in one picture.

A result is a .pkl of mspose test --dump, a .json of the evaluator's curve_file, or a published .h5
of MPII with --truth and --headboxes. NAME=FILE says what the legend calls it. One panel for all
joints together, one for each kind of joint, left and right together.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mspose_plugin.cli import arguments
from mspose_plugin.cli.output import track
from mspose_plugin.cli.pictures.style import COLOURS, LINES, figure, save
from mspose_plugin.evaluation.metrics import FlicPCK, PCKhAUC, PckMetric
from mspose_plugin.evaluation.pck import FLIC_GROUPS, MPII_GROUPS, PckCurve
from mspose_plugin.evaluation.result_files import PckPredictions, read_predictions
from mspose_plugin.utils.checks import check, check_numbers
from mspose_plugin.utils.errors import InputError
from mspose_plugin.utils.files import read_json
from mspose_plugin.utils.picture_grid import ENDINGS

MOST = 12
"""Results in one picture; more cannot be told apart."""


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the kind's arguments."""
    parser.add_argument('results', nargs='+', metavar='[NAME=]FILE', help='.pkl, .json or .h5')
    arguments.add_truth(parser)
    arguments.add_out(parser, ENDINGS, 'the picture', required=True)


def draw(args: argparse.Namespace) -> None:
    """Read, draw and save."""
    check(len(args.results) <= MOST, f'{len(args.results)} results: expected at most {MOST}')
    found: dict[str, PckCurve] = {}
    metrics = set()
    for text in track(args.results, 'results', len(args.results)):
        name, path = _named(text)
        check(name not in found, f'{path}: a second result called {name}; give NAME=FILE')
        metric, found[name] = read_curve(path, args.truth, args.headboxes)
        metrics.add(type(metric))
    check(len(metrics) == 1, 'results of MPII and of FLIC: expected those of one data set')
    save(picture(found, metric), args.out)


def _named(text: str) -> tuple[str, str]:
    name, equals, path = text.partition('=')
    return (name, path) if equals and name and not Path(text).is_file() else (Path(text).stem, text)


def read_curve(
    path: str, truth: str | None = None, headboxes: str | None = None
) -> tuple[PckMetric, PckCurve]:
    """Return a result's curve and the evaluator it belongs to.

    Args:
        path: of the file.
        truth: as for :func:`~mspose_plugin.evaluation.result_files.read_predictions`.
        headboxes: likewise.

    Raises:
        InputError: another kind of file.
    """
    if path.endswith('.json'):
        return _from_curve_file(path)
    read = read_predictions(path, truth, headboxes)
    assert isinstance(read, PckPredictions)  # no .json
    return read.metric, read.curve()


def _from_curve_file(path: str) -> tuple[PckMetric, PckCurve]:
    expected = 'expected what PCKhAUC or FlicPCK writes with curve_file'
    content = read_json(path, 'curve', expected)
    fits = isinstance(content, dict) and {'thresholds', 'joints', 'labelled'} <= content.keys()
    check(fits and isinstance(content['joints'], dict), f'{path}: {expected}')
    for metric in (PCKhAUC(), FlicPCK()):
        if set(content['joints']) == set(metric.joints) == set(content['labelled']):
            thresholds = check_numbers(f'{path}: thresholds', content['thresholds'], (None,))
            labelled = check_numbers(
                f'{path}: labelled', [content['labelled'][j] for j in metric.joints], (None,)
            )
            values = [content['joints'][joint] for joint in metric.joints]
            filled = [[np.nan if v is None else v for v in joint] for joint in values]
            shape = (len(labelled), len(thresholds))
            percent = check_numbers(f'{path}: joints', filled, shape, finite=False)
            hits = np.nan_to_num(percent.T * labelled / 100)
            return metric, PckCurve(thresholds, hits.round(), labelled)
    raise InputError(f'{path}: {expected}')


def picture(curves: Mapping[str, PckCurve], metric: PckMetric) -> Any:
    """Return the figure.

    Args:
        curves: name -> curve.
        metric: the evaluator they belong to.
    """
    mpii = isinstance(metric, PCKhAUC)
    groups: dict[str, Sequence[int]] = {
        'All': metric.scored, **(MPII_GROUPS if mpii else FLIC_GROUPS)
    }  # fmt: skip
    made = figure(1240, 660 + 22 * len(curves))
    axes = made.subplots(2, 4, sharex=True, sharey=True)
    for cell, (group, joints) in zip(axes.flat, groups.items()):
        for i, (name, curve) in enumerate(curves.items()):
            values = curve.weighted(joints)
            label = f'{name}: ' + _figures(metric, curve)
            style = dict(color=COLOURS[i % len(COLOURS)], linestyle=LINES[i // 3 % len(LINES)])
            shown = curve.thresholds <= metric.upper
            cell.plot(curve.thresholds[shown], values[shown], linewidth=2, label=label, **style)
        cell.set(title=group, xlim=(0, metric.upper), ylim=(0, 100))
        cell.grid(alpha=0.3)
    for cell in axes.flat[len(groups) :]:
        cell.set_axis_off()
    for cell in axes[:, 0]:
        cell.set_ylabel(f'{metric.title}, %')
    unit = 'head sizes' if mpii else 'torso lengths'
    made.supxlabel(f'threshold in {unit}')
    handles, labels = axes.flat[0].get_legend_handles_labels()
    made.legend(handles, labels, loc='outside upper center', frameon=False, fontsize=11)
    return made


def _figures(metric: PckMetric, curve: PckCurve) -> str:
    values = metric.summarize(curve)
    shown = [name for name in ('PCKh', 'PCKh@0.1', 'PCK', 'AUC') if name in values]
    return ', '.join(f'{name} {values[name]:.1f}' for name in shown)
