"""Say what kind of error each predicted keypoint is, and what each kind costs.

The kinds are those of Ronchi & Perona (ICCV 2017): good, jitter, inversion (the counterpart on the
other side), swap (another person's), miss. Writes one picture: the share of each kind by joint,
which joint is taken for which, and what the metric gains when the keypoints of a kind are put
where they belong.

PREDICTIONS is a .pkl of mspose test --dump (MPII, FLIC), a .json in COCO's result format with
--truth, or a published .h5 of MPII with --truth and --headboxes.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from mspose_plugin.cli import arguments
from mspose_plugin.cli.output import show_table, track
from mspose_plugin.cli.pictures.errors import draw
from mspose_plugin.evaluation.error_summary import cost, headlines, summarize
from mspose_plugin.evaluation.pose_errors import KINDS, classify
from mspose_plugin.evaluation.result_files import read_predictions
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.files import write_json
from mspose_plugin.utils.picture_grid import ENDINGS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('predictions', metavar='PREDICTIONS', help='file: .pkl, .json or .h5')
    arguments.add_truth(parser)
    arguments.add_out(parser, ENDINGS, 'the picture', required=True)
    parser.add_argument(
        '--json',
        metavar='FILE',
        type=arguments.writable_file('.json'),
        help='write the figures to this file (.json)',
    )


def main(args: argparse.Namespace) -> None:
    """Classify, sum up, draw."""
    found = read_predictions(args.predictions, args.truth, args.headboxes)
    nobody = f'{args.predictions}: no prediction of an annotated person'
    check(len(found.pred), nobody)
    errors = classify(found.pred, found.own, found.persons)
    summary = summarize(found, errors, lambda kinds: track(kinds, 'kinds of error', len(kinds)))
    show_table(*rows(summary))
    print(found.said())
    draw(summary, args.out)
    if args.json:
        write_json(args.json, summary, indent=2)


def rows(summary: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the table: percentages of each kind, and what it costs.

    Args:
        summary: of :func:`summarize`.
    """
    table = []
    for joint, kinds in summary['joints'].items():
        total = sum(kinds.values())
        shares = [f'{100 * n / total:.1f}' if total else '-' for n in kinds.values()]
        table.append([joint.replace('_', ' '), *shares, str(total)])
    total = sum(sum(kinds.values()) for kinds in summary['joints'].values())
    every = [sum(kinds[k] for kinds in summary['joints'].values()) for k in KINDS]
    table.append(['all', *(f'{100 * n / max(total, 1):.1f}' for n in every), str(total)])
    for name in headlines(summary):
        cells = [
            f'+{gain:.1f}' if (gain := cost(summary, kind, name)) is not None else ''
            for kind in KINDS
        ]
        table.append([f'{name} {summary["metrics"][name]:.1f}, corrected', *cells, ''])
    return ['joint, % of the labelled', *KINDS, 'labelled'], table
