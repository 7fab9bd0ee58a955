"""Draw one person's heatmaps: a row for each stack, a column for each level, coarse to fine.

The paper's Fig. 3 (Ke et al., ECCV 2018). With a regression network its heatmaps are the last row;
MLPE has its levels and its fine network, other networks one row.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib.axes import Axes

from mspose_plugin.apis.heatmaps import PersonHeatmaps
from mspose_plugin.cli import arguments
from mspose_plugin.cli.pictures.style import figure, save, words
from mspose_plugin.cli.predicting import make_predictor
from mspose_plugin.utils.checks import check, check_choice
from mspose_plugin.utils.picture_grid import ENDINGS

CELL = 210  # pixels


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the kind's arguments."""
    add_person(parser)
    parser.add_argument(
        '--joint', metavar='NAME', help='show this joint (default: the maximum over all joints)'
    )


def add_person(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which person of which image, and which network looks at it."""
    add = parser.add_argument
    add('image', metavar='IMAGE', help='image file')
    arguments.add_predictor(parser)
    add(
        '--box',
        nargs=4,
        type=arguments.number(-1e6, 1e6),
        metavar=('X1', 'Y1', 'X2', 'Y2'),
        help='the person in pixels (default: the whole image)',
    )
    arguments.add_out(parser, ENDINGS, 'the picture', required=True)


def predicted(args: argparse.Namespace) -> PersonHeatmaps:
    """Return all heatmaps of the person that the arguments of :func:`add_person` name."""
    return make_predictor(args).all_heatmaps(args.image, args.box)


def draw(args: argparse.Namespace) -> None:
    """Predict, draw and save."""
    found = predicted(args)
    if args.joint is None:
        shown = {
            name: tuple(level.max(axis=0) for level in levels)
            for name, levels in found.predictions.items()
        }
    else:
        check_choice('--joint', args.joint, found.names)
        shown = found.of(args.joint)
    columns = 1 + max(map(len, shown.values()))
    made = figure(CELL * columns, (CELL + 20) * len(shown) + 40)
    axes = made.subplots(len(shown), columns, squeeze=False)
    for row, (name, levels) in zip(axes, shown.items()):
        # in every row, so that each can be read on its own
        show(row[0], found.image, title='input')
        row[0].set_ylabel(name, fontsize=12)
        for cell, level in zip(row[1:], levels):
            size = f'{level.shape[1]} x {level.shape[0]}'
            show(cell, found.image, level, f'{size}, peak {level.max():.2f}')
        for cell in row[1 + len(levels) :]:
            cell.set_axis_off()
    what = 'maximum over all joints' if args.joint is None else words(args.joint)
    made.suptitle(f'Heatmaps: {what}', fontsize=13)
    save(made, args.out)


def show(
    axes: Axes,
    image: np.ndarray,
    heatmap: np.ndarray | None = None,
    title: str = '',
    mark: Sequence[float] | None = None,
) -> None:
    """Show the network's input, and a heatmap over it in grey.

    Args:
        axes: where.
        image: ``[H, W, 3]``, uint8, BGR.
        heatmap: ``[h, w]``, which covers all of it; 0 is transparent, 1 opaque. Default: None.
        title: of the cell. Default: none.
        mark: x, y in pixels of the image, marked by a circle. Default: none.
    """
    height, width = image.shape[:2]
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    if heatmap is None:
        axes.imshow(image[..., ::-1], extent=extent)
    else:
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        axes.imshow(grey, cmap='gray', vmin=0, vmax=400, extent=extent)
        # its cells stay visible: how coarse a level is belongs to what is seen
        strength = heatmap.clip(0, 1)
        axes.imshow(
            strength, cmap='inferno', vmin=0, vmax=1, alpha=strength**0.5, extent=extent,
            interpolation='nearest',
        )  # fmt: skip
    if mark is not None:
        axes.plot(*mark, 'o', markersize=16, markerfacecolor='none', color='#56B4E9', linewidth=2)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=10)


def before_and_after(found: PersonHeatmaps) -> tuple[np.ndarray, np.ndarray]:
    """Return the finest heatmaps of the last stack and of the regression network, ``[K, h, w]``.

    Args:
        found: all heatmaps of a person.

    Raises:
        InputError: the network has no regression network.
    """
    check(
        'regression' in found.predictions,
        'this network has no regression network; give one with an MSRHead',
    )
    before, after = list(found.predictions.values())[-2:]
    return before[-1], after[-1]
