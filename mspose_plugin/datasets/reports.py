"""What a data set's log says of persons that it leaves out or that teach nothing."""

from __future__ import annotations

import logging

import numpy as np
from mmengine.logging import MMLogger

from mspose_plugin.utils.errors import InputError


def report_unlearnable(
    ann_file: str, boxes: np.ndarray, keypoints: np.ndarray, visible: np.ndarray
) -> None:
    """Warn of training persons that cannot teach anything: their loss is 0 for ever.

    Such a person has no labelled keypoint in the square around its box, padded by 1.25, which a
    crop shows.

    Args:
        ann_file: the annotation file, for the message.
        boxes: ``[N, 4]`` person boxes x1, y1, x2, y2 in pixels, N > 0.
        keypoints: ``[N, K, 2]`` in pixels.
        visible: ``[N, K]``, non-zero where a keypoint is labelled.

    Raises:
        InputError: no person can teach anything.
    """
    centers = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
    reach = 1.25 / 2 * (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    inside = (np.abs(keypoints - centers) <= reach[:, None, None]).all(axis=2)
    idle = int((~(inside & (visible > 0)).any(axis=1)).sum())
    what = (
        f'{ann_file}: {idle} of {len(boxes)} persons have no labelled keypoint in their box, '
        'so that there is nothing to learn from them'
    )
    if idle == len(boxes):
        raise InputError(f'{what}; check that keypoints and boxes are pixels of the same image')
    if idle:
        MMLogger.get_current_instance().warning(what)


def warn_dropped(
    ann_file: str, dropped: int, total: int, reason: str, level: int = logging.WARNING
) -> None:
    """Log one line about persons that a dataset leaves out."""
    if dropped:
        # formatted here: mmengine drops warnings whose unformatted text it has seen
        MMLogger.get_current_instance().log(
            level, f'{ann_file}: left out {dropped} of {total} persons {reason}'
        )
