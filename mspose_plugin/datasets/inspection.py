"""What is wrong with a keypoint file in COCO's format, and what of it has one right answer.

:data:`RULES` is one table: what is found, how bad it is, how a person shows it, how it is mended.
The repair of a rule is done before the rules below it look, which may rely on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from mspose_plugin.utils.checks import check, check_value, numbers

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


class Finding(NamedTuple):
    """What was found.

    Args:
        what: in words.
        level: as for :class:`Rule`.
        times: how often.
        first: where first, e.g. ``'annotation 17'``.
        repair: what ``--repair`` does about it; empty for nothing.
    """

    what: str
    level: str
    times: int
    first: str = ''
    repair: str = ''


# ---------------------------------------------------------------- what a person may show


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


# ---------------------------------------------------------------- the whole file


class Annotations:
    """A file's content by category, image and person.

    Args:
        content: what the file holds; repairs change it.

    Raises:
        InputError: not COCO's format, or no category with keypoints.
    """

    def __init__(self, content: Any) -> None:
        shape = isinstance(content, dict) and all(
            isinstance(content.get(key), list)
            and all(isinstance(entry, dict) for entry in content[key])
            for key in ('images', 'annotations', 'categories')
        )
        check(shape, 'expected COCO\'s format: lists of images, annotations and categories')
        self.content: dict[str, list[dict[str, Any]]] = content
        self.categories = [c for c in content['categories'] if 'keypoints' in c]
        check(self.categories, "no category has 'keypoints', the names of the joints; add them")
        self.category = self.categories[0]
        ids = {c.get('id') for c in self.categories}
        images = {image.get('id'): image for image in content['images'] if _hashable(image)}
        names = self.category['keypoints']
        check_value(isinstance(names, list), 'keypoints of the category', names, 'a list of names')
        k = len(names)
        self.others = [a for a in content['annotations'] if a.get('category_id') not in ids]
        self.persons = [
            Person(ann, images.get(ann.get('image_id')), k)
            for ann in content['annotations']
            if ann.get('category_id') in ids
        ]

    def findings(self) -> Iterator[Finding]:
        """Yield what is wrong."""
        yield from self._categories()
        yield from self._images()
        for what, repair in (('image', ''), ('annotation', 'all but the first renumbered')):
            ids = Counter(repr(entry.get('id')) for entry in self.content[f'{what}s'])
            twice = [i for i, n in ids.items() if n > 1 or not i.isdigit()]
            if twice:
                text = f'id of several {what}s, or no whole number'
                yield Finding(text, ERROR, len(twice), f'{what} {twice[0]}', repair)
        known = {repr(category.get('id')) for category in self.content['categories']}
        foreign = [a for a in self.others if repr(a.get('category_id')) not in known]
        for anns, what, level in (
            (foreign, 'category_id of no category', WARNING),
            ([a for a in self.others if a not in foreign], 'of a category without joints', NOTE),
        ):
            if anns:
                yield Finding(what, level, len(anns), f'annotation {anns[0].get("id")}')
        for rule in RULES:
            found = [p for p in self.persons if rule.applies(p)]
            if found:
                first = f'annotation {found[0].ann.get("id")}'
                yield Finding(rule.what, rule.level, len(found), first, rule.repair)
        names = self.category['keypoints']
        for name, counts in zip(names, self.visibility()):
            if not counts[1:].any():
                yield Finding('joint that is never labelled', WARNING, 1, name)

    def visibility(self) -> np.ndarray:
        """Return ``[K, 3]``: for each joint the number of persons with v = 0, 1 and 2."""
        flags = [p.keypoints[:, 2] for p in self.persons if p.keypoints is not None]
        k = len(self.category['keypoints'])
        return np.stack([(np.reshape(flags, (-1, k)) == v).sum(axis=0) for v in (0, 1, 2)], axis=1)

    def repair(self) -> list[tuple[str, int]]:
        """Change the content where there is one right answer.

        Returns:
            What was done, and to how many annotations.
        """
        done = [('id given anew', self._renumber())]
        for rule in RULES:
            found = [p for p in self.persons if rule.mend and rule.applies(p)]
            for person in found:
                assert rule.mend
                rule.mend(person)
                person.changed()
            done.append((f'{rule.what}: {rule.repair}', len(found)))
        return [(what, count) for what, count in done if count]

    def _categories(self) -> Iterator[Finding]:
        different = [c for c in self.categories if c['keypoints'] != self.category['keypoints']]
        if different:
            first = f'category {different[0].get("id")}'
            yield Finding('category with other joints', ERROR, len(different), first)

    def _images(self) -> Iterator[Finding]:
        used = {id(p.image) for p in self.persons}
        empty = [i for i in self.content['images'] if id(i) not in used]
        if empty:
            yield Finding('image without annotation', NOTE, len(empty), str(empty[0].get('id')))
        shape = ('width', 'height')
        unsized = [
            i for i in self.content['images'] if numbers([i.get(k) for k in shape], (2,)) is None
        ]
        if unsized:
            first = f'image {unsized[0].get("id")}'
            yield Finding('image without width or height', ERROR, len(unsized), first)

    def _renumber(self) -> int:
        """Give new ids to annotations that have none, or that of an earlier one."""
        taken: set[int] = set()
        again = []
        for ann in self.content['annotations']:
            number = ann.get('id')
            if not isinstance(number, int) or number in taken:
                again.append(ann)
            else:
                taken.add(number)
        for number, ann in enumerate(again, max(taken, default=0) + 1):
            ann['id'] = number
        return len(again)


def _hashable(image: Mapping[str, Any]) -> bool:
    return isinstance(image.get('id'), int | str)
