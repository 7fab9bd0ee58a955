"""Annotation files: entries are checked field by field; persons that are left out are counted."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from mmengine.logging import MMLogger

from mspose_plugin.utils.checks import check, numbers, shown
from mspose_plugin.utils.errors import InputError


class Field(NamedTuple):
    """What a field of an entry has to be.

    Args:
        read: takes the values of all entries; returns them as an array or list, or None if one of
            them does not fit.
        expected: the same in words.
        default: value of an entry that lacks the field. Default: None, such an entry is refused.
    """

    read: Callable[[list], Any]
    expected: str
    default: Any = None


def numeric(*shape: int, finite: bool = True, positive: bool = False, default: Any = None) -> Field:
    """Return a field of numbers, read as float64.

    Args:
        *shape: lengths of the axes; none for a single number.
        finite: NaN and infinity are refused. Default: True.
        positive: zero and less are refused. Default: False.
        default: as for :class:`Field`.
    """

    def read(values: list) -> np.ndarray | None:
        array = numbers(values, (None, *shape), finite)
        return None if array is None or positive and (array <= 0).any() else array

    kind = 'finite ' * finite + 'positive ' * positive + 'number'
    return Field(read, f'{" x ".join(map(str, shape))} {kind}s' if shape else f'a {kind}', default)


def text(pattern: str = '.+', expected: str = 'text') -> Field:
    """Return a field of text that begins with a regular expression."""

    def read(values: list) -> list[str] | None:
        fits = all(isinstance(value, str) and re.match(pattern, value) for value in values)
        return values if fits else None

    return Field(read, expected)


INTEGER = Field(
    lambda values: values if all(isinstance(value, int) for value in values) else None,
    'an integer',
)


def read_columns(
    file: str, name: str, entries: Any, fields: Mapping[str, Field], remedy: str
) -> dict[str, Any]:
    """Check the entries of an annotation file and return their values field by field.

    Args:
        file: what the file is and its path, for the message.
        name: what an entry is called, such as ``'person'``.
        entries: what the file holds; has to be a list of N dicts.
        fields: key -> what it has to be; other keys are ignored.
        remedy: what to do about an entry that does not fit.

    Returns:
        Key -> the values of all entries, such as ``[N, 16, 2]``.

    Raises:
        InputError: an entry does not fit; the message names the first one by its ``id``, or by its
            number from 0.
    """
    keys = ', '.join(key for key, field in fields.items() if field.default is None)
    needed = f'with {keys}' if keys else ''
    check(isinstance(entries, list), f'{file} is not a list of entries {needed}; {remedy}')
    for i, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            problem = f'{name} number {i} is {shown(entry)}: expected an object {needed}'
            raise InputError(f'{file}: {problem}; {remedy}')
    columns = {}
    for key, field in fields.items():
        values = [entry.get(key, field.default) for entry in entries]
        columns[key] = field.read(values) if values else []
        if columns[key] is None:
            i = next(i for i, value in enumerate(values) if field.read([value]) is None)
            which = repr(entries[i]['id']) if 'id' in entries[i] else f'number {i}'
            problem = f'has {key}={shown(values[i])}' if key in entries[i] else f'lacks {key}'
            raise InputError(
                f'{file}: {name} {which} {problem}: expected {field.expected}; {remedy}'
            )
    return columns


def report_unlearnable(
    ann_file: str, boxes: np.ndarray, keypoints: np.ndarray, visible: np.ndarray
) -> None:
    """Warn of training persons that nothing can be learnt from, since their loss is always 0.

    Such a person has no labelled keypoint in the square around its box, padded by 1.25, that a
    crop shows.

    Args:
        ann_file: the annotation file, for the message.
        boxes: ``[N, 4]`` person boxes x1, y1, x2, y2 in pixels, N > 0.
        keypoints: ``[N, K, 2]`` in pixels.
        visible: ``[N, K]``, non-zero where a keypoint is labelled.

    Raises:
        InputError: nothing can be learnt from any person.
    """
    centers = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
    reach = 1.25 / 2 * (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    inside = (np.abs(keypoints - centers) <= reach[:, None, None]).all(axis=2)
    idle = int((~(inside & (visible > 0)).any(axis=1)).sum())
    what = (
        f'{ann_file}: {idle} of {len(boxes)} persons have no labelled keypoint in their box, '
        'so that there is nothing to learn from them'
    )
    remedy = 'check that keypoints and boxes are pixels of the same image'
    check(idle < len(boxes), f'{what}; {remedy}')
    if idle:
        MMLogger.get_current_instance().warning(what)


def warn_dropped(
    ann_file: str, dropped: int, total: int, reason: str, level: int = logging.WARNING
) -> None:
    """Log one line about persons that a dataset leaves out, if there are any.

    Args:
        ann_file: the annotation file, for the message.
        dropped: how many.
        total: of how many.
        reason: such as ``'without a labelled keypoint'``.
        level: of the log entry. Default: a warning.
    """
    if dropped:
        # formatted here: mmengine drops warnings whose unformatted text it has seen
        MMLogger.get_current_instance().log(
            level, f'{ann_file}: left out {dropped} of {total} persons {reason}'
        )
