"""What may be wrong with a person in a keypoint file, and what of it has one right answer.

:data:`RULES` is one table: what is found, how bad it is, how a person shows it, how it is mended.
The repair of a rule is done before the rules below it look, which may rely on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from mspose_plugin.utils.checks import numbers

ERROR, WARNING, NOTE = 'error', 'warning', 'note'
"""Training or evaluation fails; figures suffer, or persons are left out; worth knowing."""
TOLERANCE = 1.0
"""Pixels by which rounding may put a box outside its image."""


@dataclass
class Person:
    """An annotation with what its repairs need; changes go to ``ann``.

    Args:
        ann: the entry of the file.
        image: the entry of its image, None where there is none.
        num_keypoints: K of the file.
    """

    ann: dict[str, Any]
    image: Mapping[str, Any] | None
    num_keypoints: int

    @cached_property
    def keypoints(self) -> np.ndarray | None:
        """``[K, 3]``, x, y, visibility; None where they are no such numbers. May hold NaN."""
        flat = numbers(self.ann.get('keypoints'), (3 * self.num_keypoints,), finite=False)
        return None if flat is None else flat.reshape(-1, 3)

    @cached_property
    def labelled(self) -> np.ndarray:
        """``[n, 2]``, the positions of the labelled joints."""
        keypoints = self.keypoints
        return np.zeros((0, 2)) if keypoints is None else keypoints[keypoints[:, 2] > 0, :2]

    @cached_property
    def box(self) -> np.ndarray | None:
        """``[4]``, x, y, width, height; None where they are no such numbers."""
        return numbers(self.ann.get('bbox'), (4,))

    @cached_property
    def size(self) -> np.ndarray:
        """``[2]``, width and height of the image; infinite where they are not known."""
        size = numbers([(self.image or {}).get(key) for key in ('width', 'height')], (2,))
        return np.full(2, np.inf) if size is None else size

    def outside(self) -> np.ndarray:
        """``[n]``, which labelled joints lie outside the image."""
        xy = self.labelled
        return np.any((xy < 0) | (xy > self.size), axis=1)

    def visible_box(self) -> np.ndarray:
        """``[2]``, width and height of the part of the box that lies in the image."""
        box = self.box
        if box is None:
            return np.zeros(2)
        return np.minimum(box[:2] + box[2:], self.size) - np.maximum(box[:2], 0)

    def set_keypoints(self, keypoints: np.ndarray) -> None:
        """Write ``[K, 3]`` back, whole numbers as such."""
        self.ann['keypoints'] = [plain(v) for v in keypoints.ravel()]

    def changed(self) -> None:
        """Read everything anew from ``ann``."""
        for name in ('keypoints', 'labelled', 'box'):
            self.__dict__.pop(name, None)


def plain(value: float) -> int | float:
    """Return a number as COCO's files have it."""
    return int(value) if float(value).is_integer() else round(float(value), 4)


class Rule(NamedTuple):
    """A row of the table.

    Args:
        what: is found.
        level: :data:`ERROR`, :data:`WARNING` or :data:`NOTE`.
        applies: tells whether a person shows it.
        repair: what the repair does, in words; empty where there is no one right answer.
        mend: does it.
    """

    what: str
    level: str
    applies: Callable[[Person], Any]
    repair: str = ''
    mend: Callable[[Person], None] | None = None


def _some(values: np.ndarray | None, test: Callable[[np.ndarray], np.ndarray]) -> bool:
    return values is not None and bool(test(values).any())


def _unlabel_lost(p: Person) -> None:
    keypoints = p.keypoints
    assert keypoints is not None
    keypoints[~np.isfinite(keypoints).all(axis=1)] = 0
    p.set_keypoints(keypoints)


def _zero_unlabelled(p: Person) -> None:
    keypoints = p.keypoints
    assert keypoints is not None
    keypoints[keypoints[:, 2] == 0] = 0
    p.set_keypoints(keypoints)


def _box_from_joints(p: Person) -> None:
    """A fifth of their extent is added on each side, at least a pixel, within the image."""
    low, high = p.labelled.min(axis=0), p.labelled.max(axis=0)
    margin = np.maximum(0.2 * (high - low), 1)
    low, high = np.maximum(low - margin, 0), np.minimum(high + margin, p.size)
    p.ann['bbox'] = [plain(v) for v in (*low, *(high - low))]
    p.ann.pop('area', None)  # that of the box that was no box


def _clip_box(p: Person) -> None:
    box = p.box
    assert box is not None
    low = np.maximum(box[:2], 0)
    p.ann['bbox'] = [plain(v) for v in (*low, *p.visible_box())]


def _joints_inside(p: Person) -> bool:
    return len(p.labelled) > 0 and not p.outside().all()


def _no_usable_box(p: Person) -> bool:
    return p.box is None or min(p.box[2:].min(), p.visible_box().min()) <= 0


def _area(p: Person) -> None:
    assert p.box is not None
    p.ann['area'] = plain(float(p.box[2] * p.box[3]))


def _no_area(p: Person) -> bool:
    return numbers([p.ann.get('area')], (1,)) is None


def _reaches_out(p: Person) -> bool:
    return p.box is not None and bool((p.box[2:] - p.visible_box() > TOLERANCE).any())


def _set_count(p: Person) -> None:
    p.ann['num_keypoints'] = len(p.labelled)


FROM_JOINTS = 'box around the joints, a fifth larger on each side'
RULES = (
    Rule('annotation of no image', WARNING, lambda p: p.image is None),
    Rule('no keypoints', WARNING, lambda p: 'keypoints' not in p.ann),
    Rule(
        'keypoints are not 3 numbers for each joint',
        ERROR,
        lambda p: 'keypoints' in p.ann and p.keypoints is None,
    ),
    Rule(
        'joint with NaN or infinity',
        ERROR,
        lambda p: _some(p.keypoints, lambda k: ~np.isfinite(k)),
        'joint counts as not labelled',
        _unlabel_lost,
    ),
    Rule(
        'visibility other than 0, 1, 2',
        ERROR,
        lambda p: _some(p.keypoints, lambda k: ~np.isin(k[:, 2], (0, 1, 2)) & ~np.isnan(k[:, 2])),
    ),
    Rule(
        'position of a joint with v = 0',
        NOTE,
        lambda p: _some(p.keypoints, lambda k: (k[:, 2] == 0) & (k[:, :2] != 0).any(axis=1)),
        'position set to 0, 0',
        _zero_unlabelled,
    ),
    Rule('no labelled joint', NOTE, lambda p: p.keypoints is not None and not len(p.labelled)),
    Rule('labelled joint outside the image', WARNING, lambda p: p.image and p.outside().any()),
    Rule(
        'no box',
        WARNING,
        lambda p: 'bbox' not in p.ann and _joints_inside(p),
        FROM_JOINTS,
        _box_from_joints,
    ),
    Rule(
        'box is not 4 finite numbers',
        ERROR,
        lambda p: 'bbox' in p.ann and p.box is None and _joints_inside(p),
        FROM_JOINTS,
        _box_from_joints,
    ),
    Rule(
        'box without size, or outside its image',
        WARNING,
        lambda p: p.box is not None and _no_usable_box(p) and _joints_inside(p),
        FROM_JOINTS,
        _box_from_joints,
    ),
    Rule(
        'no box, and no joint to take it from',
        NOTE,
        lambda p: _no_usable_box(p) and not _joints_inside(p),
    ),
    Rule(
        'box that reaches out of its image',
        NOTE,
        lambda p: not _no_usable_box(p) and _reaches_out(p),
        'clipped to the image',
        _clip_box,
    ),
    Rule(
        'no area, which AP needs',
        ERROR,
        lambda p: _no_area(p) and not _no_usable_box(p),
        'area of the box',
        _area,
    ),
    Rule(
        'area of 0, with which AP counts no prediction as right',
        WARNING,
        lambda p: not _no_area(p) and p.ann['area'] <= 0 and not _no_usable_box(p),
        'area of the box',
        _area,
    ),
    Rule(
        'num_keypoints missing or wrong',
        WARNING,
        lambda p: p.keypoints is not None and p.ann.get('num_keypoints') != len(p.labelled),
        'counted again',
        _set_count,
    ),
    Rule('marked as a crowd, so left out', NOTE, lambda p: p.ann.get('iscrowd')),
)
