"""A colour for every id of a tracked person, and ids written into a picture."""

from __future__ import annotations

from colorsys import hsv_to_rgb

import cv2
import numpy as np


def id_colour(number: int) -> tuple[int, int, int]:
    """Return the colour of an id, RGB from 0 to 255; grey for 0, no id yet.

    Hues are a golden section of the circle apart, so that neighbouring ids never look alike.

    Args:
        number: the id.
    """
    if not number:
        return 160, 160, 160
    red, green, blue = hsv_to_rgb(number * 0.618034 % 1, 0.85, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def write_ids(
    picture: np.ndarray, ids: np.ndarray, keypoints: np.ndarray, drawn: np.ndarray
) -> None:
    """Write each person's id above the highest of its joints.

    Args:
        picture: ``[H, W, 3]``, uint8, BGR; is changed.
        ids: ``[N]``, 0 for none.
        keypoints: ``[N, K, 2]`` in pixels.
        drawn: ``[N, K]``, whether the picture shows the joint.
    """
    height, width = picture.shape[:2]
    font, size = cv2.FONT_HERSHEY_SIMPLEX, max(min(height, width) / 700, 0.45)
    for person in np.flatnonzero(np.asarray(ids).astype(bool) & drawn.any(axis=1)):
        number = int(ids[person])
        joints = keypoints[person][drawn[person]]
        x, y = joints[joints[:, 1].argmin()]
        (wide, high), below = cv2.getTextSize(str(number), font, size, 2)
        # where the head is above the picture's edge, the number stays within
        left = int(np.clip(x - wide / 2, 0, max(width - wide, 0)))
        bottom = int(np.clip(y - 12 * size, high, max(height - below, high)))
        for colour, thickness in (((0, 0, 0), 4), (id_colour(number)[::-1], 2)):
            cv2.putText(
                picture, str(number), (left, bottom), font, size, colour, thickness, cv2.LINE_AA
            )
