"""Draw the skeletal graph of a data set with the groups of the structure-aware loss.

On the left the graph over a standing body, seen from the front: a line for each pair of neighbours.
Then a small body for each joint n: S_n of the paper's Eq. 2 (Ke et al., ECCV 2018, §3.3), that is
the joint itself, large, and its neighbours. The groups are those of skeletons.py.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse

from mspose_plugin.cli import arguments
from mspose_plugin.cli.pictures.style import MIDDLE, RIGHT, figure, save, side_colour, words
from mspose_plugin.datasets.flic_metainfo import FLIC_METAINFO
from mspose_plugin.skeletons import GROUPS
from mspose_plugin.synthetic.annotation_writers import MpiiWriter
from mspose_plugin.synthetic.body import INDEX, KEYPOINTS, Camera, pose_body, sample_shape
from mspose_plugin.synthetic.pose import Pose
from mspose_plugin.utils.picture_grid import ENDINGS

_STANDING = Pose(
    root=np.zeros(3),
    spine=np.zeros(3),
    head=np.zeros(3),
    # raise, out, twist, bend: arms and legs a little apart
    limbs=np.array([[38.0, 90, 0, 12], [38, 90, 0, 12], [14, 90, 0, 0], [14, 90, 0, 0]]),
)


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the kind's arguments."""
    parser.add_argument('dataset', choices=list(GROUPS), help='whose joints')
    arguments.add_out(parser, ENDINGS, 'the picture', required=True)


_FLIC: Any = FLIC_METAINFO['keypoint_info']
NAMES: dict[str, tuple[str, ...]] = dict(
    mpii=MpiiWriter.joints,
    coco=KEYPOINTS[:17],
    flic=tuple(info['name'] for info in _FLIC.values()),
)
"""Of the joints, in the order of the data set."""


FLESH = '#EDEDED'
LIMBS = [
    (f'{side}_{a}', f'{side}_{b}')
    for side in ('left', 'right')
    for a, b in (
        ('shoulder', 'elbow'), ('elbow', 'wrist'), ('wrist', 'hand'),
        ('hip', 'knee'), ('knee', 'ankle'), ('ankle', 'toe'),
    )
]  # fmt: skip
TRUNK = ['left_shoulder', 'right_shoulder', 'right_hip', 'left_hip']


def standing() -> np.ndarray:
    """Return a standing body's points, seen from the front, ``[P, 2]`` in pixels."""
    body = pose_body(sample_shape(np.random.default_rng(0), spread=0.0), _STANDING)
    return Camera(scale=400, offset=np.zeros(2), distance=60).project(body.points)


def draw(args: argparse.Namespace) -> None:
    """Draw and save."""
    groups, names = GROUPS[args.dataset], NAMES[args.dataset]
    body = standing()
    places = body[[INDEX[name] for name in names]]
    columns = -(-len(groups) // 3)
    made = figure(560 + 150 * columns, 760)
    mosaic: list[Any] = [
        ['graph'] * 4 + [f'{r * columns + c}' for c in range(columns)] for r in range(3)
    ]
    axes = made.subplot_mosaic(mosaic)
    _graph(axes['graph'], body, places, names, groups)
    for n in range(3 * columns):
        if n < len(groups):
            _group(axes[str(n)], body, places, names, groups, n)
        else:
            axes[str(n)].set_axis_off()
    made.suptitle(
        f'{args.dataset.upper()}: skeletal graph, and the group S of each joint',
        fontsize=13,
    )
    save(made, args.out)


def _edges(groups: list[tuple[int, ...]]) -> list[tuple[int, int]]:
    """Return the pairs of neighbours, each once."""
    return sorted({(min(n, m), max(n, m)) for n, g in enumerate(groups) for m in g if m != n})


def _body(axes: Axes, body: np.ndarray, width: float) -> None:
    """Draw the body, limbs ``width`` points thick."""

    def at(*names: str) -> np.ndarray:
        return body[[INDEX[name] for name in names]]

    how: Any = dict(color=FLESH, zorder=0, linewidth=width, solid_capstyle='round')
    for ends in LIMBS:
        axes.plot(*at(*ends).T, **how)
    axes.fill(*at(*TRUNK).T, facecolor=FLESH, edgecolor=FLESH, linewidth=width, zorder=0)
    neck, top = at('neck', 'head_top')
    axes.add_patch(
        Ellipse((neck + top) / 2, 0.75 * (neck - top)[1], *(neck - top)[1:], color=FLESH)
    )
    axes.set_aspect('equal')
    axes.invert_yaxis()
    axes.set_axis_off()


def _graph(
    axes: Axes,
    body: np.ndarray,
    places: np.ndarray,
    names: tuple[str, ...],
    groups: list[tuple[int, ...]],
) -> None:
    _body(axes, body, 26)
    for a, b in _edges(groups):
        axes.plot(*places[[a, b]].T, color='#777777', linewidth=2.5, zorder=1)
    axes.scatter(
        places[:, 0], places[:, 1], s=70, c=[side_colour(name) for name in names], zorder=3
    )
    middle = places[:, 0].mean()
    for side in (-1, 1):  # names in a column on either side, none over another
        chosen = [i for i, (x, _) in enumerate(places) if (x < middle - 1) == (side < 0)]
        chosen.sort(key=lambda i: places[i, 1])
        below = -np.inf
        for i in chosen:
            below = max(places[i, 1], below + 17)
            axes.annotate(
                words(names[i]),
                places[i],
                xytext=(middle + side * 190, below),
                ha='right' if side < 0 else 'left',
                va='center',
                fontsize=11,
                arrowprops=dict(arrowstyle='-', color='#BBBBBB', shrinkB=4, zorder=2),
            )
    axes.set_xlim(middle - 290, middle + 290)


def _group(
    axes: Axes,
    body: np.ndarray,
    places: np.ndarray,
    names: tuple[str, ...],
    groups: list[tuple[int, ...]],
    n: int,
) -> None:
    _body(axes, body, 8)
    others = [m for m in groups[n] if m != n]
    for m in others:
        axes.plot(*places[[n, m]].T, color=MIDDLE, linewidth=3, zorder=2)
    axes.scatter(places[others, 0], places[others, 1], s=30, color=MIDDLE, zorder=3)
    axes.scatter(places[n, 0], places[n, 1], s=60, color=RIGHT, zorder=4)
    axes.set_title(words(names[n]), fontsize=10)
