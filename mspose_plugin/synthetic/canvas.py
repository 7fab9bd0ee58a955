"""Anti-aliased drawing of polygons into an image and, at the same time, into an id mask."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

Color = tuple[float, float, float]

_SHIFT = 4  # sub-pixel bits of OpenCV's fixed-point coordinates
_ONE = float(1 << _SHIFT)
_ARC = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 8)
_ROUND = np.concatenate([_ARC, np.pi + _ARC])
SIDES = [0, _ARC.size - 1, _ARC.size, 2 * _ARC.size - 1]
_CIRCLE = np.linspace(0.0, 2.0 * np.pi, 20, endpoint=False)
UNIT_CIRCLE = np.stack([np.cos(_CIRCLE), np.sin(_CIRCLE)], axis=1)  # [20, 2]


@dataclass
class Canvas:
    """An image under construction and who owns each of its pixels.

    Args:
        image: colours, uint8 ``[H, W, 3]`` in BGR.
        ids: 0 for background, 1 for occluding objects, else a person's part, uint16 ``[H, W]``.
    """

    image: np.ndarray
    ids: np.ndarray

    def fill(self, polygon: np.ndarray, color: Color, part: int = -1) -> None:
        """Fill a polygon.

        Args:
            polygon: corners ``[V, 2]`` in 0-based pixels; any outline whose rows are single spans.
            color: BGR.
            part: id to write into the mask; negative leaves the mask alone.
        """
        self.fill_fixed(fixed_point(polygon), color, part)

    def fill_fixed(self, fixed: np.ndarray, color: Color, part: int = -1) -> None:
        """Fill a polygon of fixed-point corners (see ``fixed_point`` and ``fill``)."""
        cv2.fillConvexPoly(self.image, fixed, color, cv2.LINE_AA, _SHIFT)
        if part >= 0:
            self.claim(fixed, part)

    def claim(self, fixed: np.ndarray, part: int) -> None:
        """Write a fixed-point polygon into the id mask only."""
        cv2.fillConvexPoly(self.ids, fixed, part, cv2.LINE_8, _SHIFT)

    def disc(self, centre: np.ndarray, radius: float, color: Color, part: int = -1) -> None:
        """Fill a disc (see ``fill``)."""
        self.fill(centre + radius * UNIT_CIRCLE, color, part)

    def line(self, points: np.ndarray, color: Color, width: float) -> None:
        """Draw an open polyline of a width in pixels; the mask is left alone."""
        fixed, width = [fixed_point(points)], max(1, round(width))
        cv2.polylines(self.image, fixed, False, color, width, cv2.LINE_AA, _SHIFT)


def fixed_point(points: np.ndarray) -> np.ndarray:
    """Convert pixels to OpenCV's fixed point, int32 of the same shape."""
    return (points * _ONE + 0.5).astype(np.int32)


def capsules(a: np.ndarray, b: np.ndarray, ra: np.ndarray, rb: np.ndarray) -> np.ndarray:
    """Outline segments that taper from one round end to the other.

    Args:
        a: first ends ``[N, 2]`` in pixels.
        b: second ends ``[N, 2]`` in pixels.
        ra: radii at the first ends ``[N]`` in pixels.
        rb: radii at the second ends ``[N]`` in pixels.

    Returns:
        Polygons of ``[N, 16, 2]``; corners ``SIDES`` bound the straight part.
    """
    d = b - a
    angle = np.arctan2(d[:, 1], d[:, 0])[:, None]
    theta = angle + _ROUND  # [N, 16]
    polygons = np.empty((len(a), 2 * _ARC.size, 2))
    polygons[..., 0], polygons[..., 1] = np.cos(theta), np.sin(theta)
    head, tail = polygons[:, : _ARC.size], polygons[:, _ARC.size :]
    head *= rb[:, None, None]
    head += b[:, None]
    tail *= ra[:, None, None]
    tail += a[:, None]
    return polygons


def hull(points: np.ndarray) -> np.ndarray:
    """Return the convex hull ``[V, 2]`` of points ``[N, 2]``, float or fixed point."""
    return cv2.convexHull(points if points.dtype == np.int32 else points.astype(np.float32))[:, 0]


def shade(color: Color, factor: float) -> Color:
    """Brighten or darken a colour."""
    return (
        min(color[0] * factor, 255.0),
        min(color[1] * factor, 255.0),
        min(color[2] * factor, 255.0),
    )
