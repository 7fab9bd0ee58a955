"""Draw the skeletal graph of a data set with the groups of the structure-aware loss.

On the left the graph over a standing body, seen from the front: a line for each pair of neighbours.
Then a small body for each joint n: S_n of the paper's Eq. 2 (Ke et al., ECCV 2018, §3.3), that is
the joint itself, large, and its neighbours. The groups are those of skeletons.py.
"""

from __future__ import annotations

import argparse

import numpy as np
from matplotlib.axes import Axes
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mspose_plugin.cli import arguments
from mspose_plugin.cli.drawing.style import MIDDLE, RIGHT, figure, save, side_colour, words
from mspose_plugin.datasets.flic_metainfo import FLIC_METAINFO
from mspose_plugin.skeletons import GROUPS
from mspose_plugin.synthetic.annotation_writers import MpiiWriter
from mspose_plugin.synthetic.body import INDEX, Camera, pose_body, sample_shape
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


def joint_names(dataset: str) -> tuple[str, ...]:
    """Return the names of a data set's joints, in its order."""
    if dataset == 'mpii':
        return MpiiWriter.joints
    meta = parse_pose_metainfo(
        dict(from_file='configs/_base_/datasets/coco.py') if dataset == 'coco' else FLIC_METAINFO
    )
    return tuple(meta['keypoint_id2name'][k] for k in range(len(GROUPS[dataset])))


def standing(names: tuple[str, ...]) -> np.ndarray:
    """Return where the joints of a standing body are, seen from the front, ``[K, 2]`` in pixels."""
    body = pose_body(sample_shape(np.random.default_rng(0), spread=0.0), _STANDING)
    places = Camera(scale=400, offset=np.zeros(2), distance=60).project(body.points)
    return places[[INDEX[name] for name in names]]


def draw(args: argparse.Namespace) -> None:
    """Draw and save."""
    groups, names = GROUPS[args.dataset], joint_names(args.dataset)
    places = standing(names)
    columns = -(-len(groups) // 3)
    made = figure(560 + 150 * columns, 760)
    mosaic = [['graph'] * 4 + [f'{r * columns + c}' for c in range(columns)] for r in range(3)]
    axes = made.subplot_mosaic(mosaic)
    _graph(axes['graph'], places, names, groups)
    for n in range(3 * columns):
        if n < len(groups):
            _group(axes[str(n)], places, names, groups, n)
        else:
            axes[str(n)].set_axis_off()
    made.suptitle(
        f'{args.dataset.upper()}: skeletal graph, and the group S of each joint (seen from the '
        'front)',
        fontsize=13,
    )
    save(made, args.out)


def _edges(groups: list[tuple[int, ...]]) -> list[tuple[int, int]]:
    """Return the pairs of neighbours, each once."""
    return sorted({(min(n, m), max(n, m)) for n, g in enumerate(groups) for m in g if m != n})


def _body(axes: Axes, places: np.ndarray, groups: list[tuple[int, ...]], colour: str) -> None:
    for a, b in _edges(groups):
        axes.plot(*places[[a, b]].T, color=colour, linewidth=2, zorder=1)
    axes.set_aspect('equal')
    axes.invert_yaxis()
    axes.margins(0.12)
    axes.set_axis_off()


def _graph(
    axes: Axes, places: np.ndarray, names: tuple[str, ...], groups: list[tuple[int, ...]]
) -> None:
    _body(axes, places, groups, '#888888')
    axes.scatter(*places.T, s=70, c=[side_colour(name) for name in names], zorder=2)
    middle = places[:, 0].mean()
    for name, (x, y) in zip(names, places):
        left = x < middle - 1
        axes.annotate(
            words(name),
            (x, y),
            xytext=(-9 if left else 9, 0),
            textcoords='offset points',
            ha='right' if left else 'left',
            va='center',
            fontsize=10,
        )
    axes.margins(0.42, 0.06)


def _group(
    axes: Axes,
    places: np.ndarray,
    names: tuple[str, ...],
    groups: list[tuple[int, ...]],
    n: int,
) -> None:
    _body(axes, places, groups, '#DDDDDD')
    others = [m for m in groups[n] if m != n]
    for m in others:
        axes.plot(*places[[n, m]].T, color=MIDDLE, linewidth=3, zorder=2)
    axes.scatter(*places[others].T, s=35, color=MIDDLE, zorder=3)
    axes.scatter(*places[n], s=80, color=RIGHT, zorder=4)
    axes.set_title(words(names[n]), fontsize=10)
