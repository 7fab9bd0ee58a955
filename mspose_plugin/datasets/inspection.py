"""What is wrong with a keypoint file in COCO's format, and what of it has one right answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from mspose_plugin.datasets.inspection_rules import ERROR, NOTE, RULES, WARNING, Person
from mspose_plugin.utils.checks import check, check_value, numbers


class Finding(NamedTuple):
    """What was found.

    Args:
        what: in words.
        level: as for :class:`~mspose_plugin.datasets.inspection_rules.Rule`.
        times: how often.
        first: where first, e.g. ``'annotation 17'``.
        repair: what ``--repair`` does about it; empty for nothing.
    """

    what: str
    level: str
    times: int
    first: str = ''
    repair: str = ''


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
