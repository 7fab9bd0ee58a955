"""Figures by matplotlib without a display: colours, sizes, a file that is whole or not there."""

from __future__ import annotations

import io
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mspose_plugin.utils.files import write_file

matplotlib.rcParams['axes.spines.top'] = matplotlib.rcParams['axes.spines.right'] = False
COLOURS = ('#0072B2', '#E69F00', '#009E73', '#CC79A7', '#D55E00', '#56B4E9', '#000000', '#F0E442')
"""Of Okabe & Ito, which colour-blind people tell apart."""
RIGHT, LEFT, MIDDLE = '#D55E00', '#009E73', '#0072B2'
"""Sides of a body: the person's right, left, and what has no side."""
LINES = ('-', '--', '-.', ':')


def figure(width: float, height: float, **options: Any) -> Figure:
    """Return an empty figure.

    Args:
        width: in pixels.
        height: likewise.
        **options: of matplotlib's ``Figure``.
    """
    made = Figure((width / 100, height / 100), dpi=100, layout='constrained', **options)
    FigureCanvasAgg(made)
    return made


def save(made: Figure, path: str) -> None:
    """Write a figure, whole or not at all.

    Args:
        made: the figure.
        path: file; its ending says the format.
    """
    buffer = io.BytesIO()
    ending = path.rsplit('.', 1)[-1].lower()
    # a JPEG with readable letters; a PNG as small as it goes
    how = dict(optimize=True) if ending == 'png' else dict(quality=80, optimize=True)
    made.savefig(buffer, format=ending, pil_kwargs=how)
    write_file(path, buffer.getvalue())


def words(name: str) -> str:
    """Return a keypoint's name as it is written: ``right_wrist`` is right wrist."""
    return name.replace('_', ' ')


def kind_of(name: str) -> str:
    """Return a keypoint's name without its side."""
    return words(name.removeprefix('left_').removeprefix('right_'))


def side_colour(name: str) -> str:
    """Return the colour of a keypoint's side."""
    return {'left': LEFT, 'right': RIGHT}.get(name.partition('_')[0], MIDDLE)
