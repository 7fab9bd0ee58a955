"""Which parts of a network input are one person, and which are background."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from mmpose.structures.bbox import get_warp_matrix

from mspose_plugin.utils.checks import check

FAR = 10_000  # pixels; keypoints are cut here, where OpenCV still draws accurately


@dataclass(frozen=True)
class PersonArea:
    """One person in an image, known by keypoints of any set.

    The person is the convex hull of all labelled keypoints: it holds every limb between two of
    them. Background is what lies outside the hull grown by a margin, and within the original image
    (not in the black that ``TopdownAffine`` puts around it).

    Args:
        height: of the image.
        width: likewise.
        hull: hull ``[M, 2]``, int32 pixels (x, y).
        inside: labelled keypoints ``[N, 2]`` within the image, int32 pixels, N >= 1.
        size: size of the person in pixels: the longer side of the box around the labelled
            keypoints (cut at the image's edge), at least a quarter of the image's shorter side.
        original: uint8 ``[height, width]``, 1 where the crop shows the original
            image; None if everywhere, or unknown.
    """

    height: int
    width: int
    hull: np.ndarray
    inside: np.ndarray
    size: float
    original: np.ndarray | None

    @classmethod
    def of(cls, results: dict) -> PersonArea | None:
        """Find the person in a pipeline's results; None without a labelled keypoint inside.

        Args:
            results: of ``TopdownAffine``; only ``img`` ``[H, W]`` or ``[H, W, C]`` and
                ``transformed_keypoints`` ``[1, K, 2]`` are required.

        Raises:
            InputError: these are missing.
        """
        img: Any = results.get('img')
        points: Any = results.get('transformed_keypoints')
        fits = isinstance(img, np.ndarray) and points is not None
        check(fits, 'KeypointMasking needs one image and its keypoints; put it after TopdownAffine')
        if points.ndim < 2 or not img.size:  # TopdownAffine's mark of "no keypoints"
            return None
        height, width = img.shape[:2]
        visible = np.asarray(results.get('keypoints_visible', np.ones(points.shape[:-1])))
        if visible.ndim == points.ndim:  # visibility and weight, as KeypointConverter leaves it
            visible = visible[..., 0]
        points = points[..., :2].reshape(-1, 2)
        points = points[(visible.reshape(-1) > 0) & np.isfinite(points).all(1)]
        points = np.rint(points.clip(-FAR, FAR)).astype(np.int32)
        cut = points.clip(0, (width - 1, height - 1))
        inside = cut[(cut == points).all(1)]
        if not len(inside):
            return None
        original = original_area(results, height, width)
        if original is not None:
            inside = inside[original[inside[:, 1], inside[:, 0]] > 0]
            if not len(inside):
                return None
        size = max(float(np.ptp(cut, axis=0).max()), min(height, width) / 4)
        return cls(height, width, cv2.convexHull(points)[:, 0], inside, size, original)

    def around(self, xy: np.ndarray, side: int) -> np.ndarray:
        """Return the left top pixel of a patch on a pixel (x, y), shifted into the image."""
        return (xy - side // 2).clip(0, (max(self.width - side, 0), max(self.height - side, 0)))

    def shows_original(self, corner: np.ndarray, side: int) -> bool:
        """Say whether a patch with that left top pixel lies within the original image."""
        x, y = corner
        return (
            self.original is None
            or bool(  # convex: its corners tell
                self.original[y : y + side : side - 1, x : x + side : side - 1].all()
            )
        )

    def background(self, side: int, margin: float) -> np.ndarray:
        """Find all places for a patch on the background.

        Args:
            side: of the patch, pixels.
            margin: gap to the hull, relative to the person; never less than one pixel.

        Returns:
            Bool ``[height - side + 1, width - side + 1]`` (empty if the patch is larger
            than the image), True where it may have its left top pixel.
        """
        rows, columns = max(self.height - side + 1, 0), max(self.width - side + 1, 0)
        free = np.ones((rows, columns), np.uint8)
        if not free.size:
            return free.view(bool)
        if self.original is not None:  # convex: a patch is inside if its corners are
            for y in (0, side - 1):
                for x in (0, side - 1):
                    free &= self.original[y : y + rows, x : x + columns]
        # a square meets the grown hull where its left top corner lies in their Minkowski sum
        gap = math.ceil(margin * self.size) + 1
        steps = np.array(
            [(x, y) for x in (1 - side - gap, gap) for y in (1 - side - gap, gap)], np.int32
        )
        taken = cv2.convexHull((self.hull[:, None] + steps).reshape(-1, 2))
        return cv2.fillConvexPoly(free, taken, 0).view(bool)


def original_area(results: dict, height: int, width: int) -> np.ndarray | None:
    """Find where ``TopdownAffine`` put the original image.

    Args:
        results: of ``TopdownAffine``, with ``img_shape`` of before.
        height: of the crop.
        width: likewise.

    Returns:
        See :class:`PersonArea`.
    """
    if any(results.get(key) is None for key in ('img_shape', 'input_center', 'input_scale')):
        return None
    back = get_warp_matrix(
        results['input_center'],
        results['input_scale'],
        results.get('bbox_rotation', [0.0])[0],
        (width, height),
        inv=True,
    )
    ends = back[:, :2] @ [[0, width - 1] * 2, [0] * 2 + [height - 1] * 2] + back[:, 2:]
    last = np.array(results['img_shape'][1::-1])[:, None] - 1
    if ((ends >= 0) & (ends <= last)).all():  # all corners: the usual case
        return None
    across, down = np.arange(width), np.arange(height)[:, None]
    area = np.ones((height, width), bool)
    for (a, b, c), pixels in zip(back, results['img_shape'][1::-1]):
        middle = (pixels - 1) / 2  # a pixel's x, then y, in the original image, from its middle
        place = (a * across + (c - middle)).astype(np.float32) + (b * down).astype(np.float32)
        area &= np.abs(place) < middle + 0.01  # with room for rounding
    return area.view(np.uint8)
