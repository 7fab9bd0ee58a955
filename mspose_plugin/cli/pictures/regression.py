"""Draw heatmaps before and after the regression network: the paper's Fig. 4.

A row for each joint: the input, the last stack's finest heatmap, the regression network's, and what
it added or took away. The circle is the highest value. Without --joint the joints are those whose
heatmaps change most.
"""

from __future__ import annotations

import argparse

import numpy as np

from mspose_plugin.cli import arguments
from mspose_plugin.cli.pictures.heatmaps import CELL, add_person, before_and_after, predicted, show
from mspose_plugin.cli.pictures.style import figure, save, words
from mspose_plugin.utils.checks import check_choice


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the kind's arguments."""
    add_person(parser)
    parser.add_argument('--joint', nargs='+', metavar='NAME', help='show these joints')
    parser.add_argument(
        '--num', type=arguments.positive_int, default=3, help='joints to show (default: 3)'
    )


def draw(args: argparse.Namespace) -> None:
    """Predict, draw and save."""
    found = predicted(args)
    before, after = before_and_after(found)
    for name in args.joint or ():
        check_choice('--joint', name, found.names)
    change = np.abs(after - before).max(axis=(1, 2))
    most = [found.names[k] for k in np.argsort(-change, kind='stable')[: args.num]]
    chosen = args.joint or most
    # shades that show small changes, but no noise as if it were one
    limit = max(0.2, float(change[[found.names.index(name) for name in chosen]].max()))
    made = figure(CELL * 4 + 30, (CELL + 20) * len(chosen) + 20)
    axes = made.subplots(len(chosen), 4, squeeze=False)
    height, width = found.image.shape[:2]
    for row, name in zip(axes, chosen):
        k = found.names.index(name)
        show(row[0], found.image, title='input')
        row[0].set_ylabel(words(name), fontsize=12)
        for cell, title, heatmap in (
            (row[1], 'before', before[k]),
            (row[2], 'after', after[k]),
        ):
            y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
            zoom = np.array([width / heatmap.shape[1], height / heatmap.shape[0]])
            place = (np.array([x, y]) + 0.5) * zoom - 0.5
            show(cell, found.image, heatmap, f'{title}, peak {heatmap.max():.2f}', place)
        difference = row[3].imshow(after[k] - before[k], cmap='PuOr', vmin=-limit, vmax=limit)
        row[3].set(xticks=[], yticks=[])
        row[3].set_title('after - before', fontsize=10)
    made.colorbar(difference, ax=axes[:, 3], shrink=0.6)
    save(made, args.out)
