"""The head: a face that is seen from the front only, hair that covers the rest."""

from __future__ import annotations

import numpy as np

from mspose_plugin.synthetic.appearance import Appearance
from mspose_plugin.synthetic.body import HEAD_RADII, Body, Camera
from mspose_plugin.synthetic.canvas import UNIT_CIRCLE, Canvas, hull, shade


def _great_circle(pole: np.ndarray) -> np.ndarray:
    """Return the unit circle ``[20, 3]`` at right angles to a unit vector ``[3]``."""
    x, y, z = pole.tolist()
    u = np.array([z, 0.0, -x]) if abs(y) < 0.9 else np.array([0.0, z, -y])
    u /= np.sqrt(u @ u)
    a, b, c = u.tolist()
    v = np.array([y * c - z * b, z * a - x * c, x * b - y * a])
    return UNIT_CIRCLE @ np.array([u, v])


class _Cap:
    """A spherical cap, no larger than a hemisphere, on the head's unit sphere."""

    def __init__(self, pole: tuple[float, float, float], cosine: float) -> None:
        self.pole = np.array(pole) / np.linalg.norm(pole)
        self.cosine = cosine
        self.rim = cosine * self.pole + np.sqrt(1.0 - cosine**2) * _great_circle(self.pole)


_FACE = _Cap((0.0, -0.32, 0.947), 0.27)
_BALD_FACE = _Cap((0.0, -0.32, 0.947), 0.12)
_BEARD = _Cap((0.0, -0.8, 0.6), 0.62)
_CROWN = _Cap((0.0, 0.98, -0.2), 0.3)

_NOSE = np.array([[0, 0.12, 0.97], [0.15, -0.2, 0.94], [0, -0.16, 1.24], [-0.15, -0.2, 0.94]])
_VISOR = np.array(
    [[-0.8, 0.42, 0.8], [-0.5, 0.43, 1.5], [0, 0.46, 1.75], [0.5, 0.43, 1.5], [0.8, 0.42, 0.8]]
)


class Head:
    """One head, ready to be drawn.

    Args:
        body: the posed body.
        camera: projection to pixels.
        appearance: colours and style.
        part: id of the head in the mask.
        light: brightness factor of the whole head.
    """

    def __init__(
        self, body: Body, camera: Camera, appearance: Appearance, part: int, light: float
    ) -> None:
        self.appearance, self.part, self.light = appearance, part, light
        self.length = body.shape.head * camera.scale  # pixels
        # linear map from the head's unit sphere to pixels
        self.axes = (body.head * (HEAD_RADII * body.shape.head)).T
        self.centre3, self.camera = body.head_centre, camera
        view = body.head[2] / HEAD_RADII  # the viewer's direction, as the sphere sees it
        self.view = view / np.sqrt(view @ view)
        self.limb = _great_circle(self.view)  # the sphere's silhouette

    def place(self, points: np.ndarray) -> np.ndarray:
        """Project points ``[N, 3]`` given on the unit sphere to pixels ``[N, 2]``."""
        return self.camera.project(self.centre3 + points @ self.axes)

    def outline(self, factor: float = 1.0) -> np.ndarray:
        """Return the silhouette ``[20, 2]`` of the skull, enlarged by a factor."""
        return self.place(factor * self.limb)

    def cap(self, cap: _Cap, factor: float = 1.0) -> np.ndarray | None:
        """Return the visible part of a spherical cap.

        Args:
            cap: the cap.
            factor: size of the sphere.

        Returns:
            A convex polygon ``[V, 2]`` in pixels, or None if it is turned away.
        """
        rim, limb = cap.rim, self.limb
        kept = np.concatenate([rim[rim @ self.view > 0.0], limb[limb @ cap.pole > cap.cosine]])
        return hull(self.place(factor * kept)) if len(kept) > 2 else None

    def facing(self, point: np.ndarray) -> float:
        """Return the cosine between a direction on the sphere and the viewer's."""
        return float(point @ self.view)

    def draw(self, canvas: Canvas) -> None:
        """Draw skull, hair and, where it is seen, the face."""
        appearance, part = self.appearance, self.part
        skin, hair = shade(appearance.skin, self.light), shade(appearance.hair, self.light)
        bald = appearance.hairstyle == 'bald'
        scalp = skin if bald else hair
        canvas.fill(self.outline(1.09), shade(scalp, appearance.edge(0.62)), part)
        if appearance.hairstyle == 'bun':
            knot = self.place(np.array([[0.0, 0.75, -0.85]]))[0]
            canvas.disc(knot, 0.17 * self.length, shade(hair, 0.7), part)
            canvas.disc(knot, 0.145 * self.length, hair, part)
        canvas.fill(self.outline(1.0 if bald else 1.05), scalp)
        self._ears(canvas, skin)
        face = self.cap(_BALD_FACE if bald else _FACE)
        if face is not None:
            canvas.fill(face, skin, part)
        if appearance.beard:
            beard = self.cap(_BEARD, 1.02)
            if beard is not None:
                canvas.fill(beard, shade(hair, 0.9), part)
        self._features(canvas, skin)
        if appearance.hairstyle == 'cap':
            self._cap(canvas)

    def _ears(self, canvas: Canvas, skin: tuple) -> None:
        for side in (1.0, -1.0):
            ear = np.array([1.0 * side, -0.02, -0.05])
            if self.facing(ear) > -0.25 and self.appearance.hairstyle != 'long':
                spot = self.place(1.04 * ear[None])[0]
                canvas.disc(spot, 0.085 * self.length, shade(skin, 0.72), self.part)
                canvas.disc(spot, 0.06 * self.length, shade(skin, 0.95))

    def _features(self, canvas: Canvas, skin: tuple) -> None:
        size = self.length
        brow = shade(self.appearance.hair if self.appearance.hairstyle != 'bald' else skin, 0.5)
        for side in (1.0, -1.0):
            eye = np.array([0.36 * side, 0.13, 0.92])
            cosine = self.facing(eye)
            if cosine < 0.12:
                continue
            across = self.axes[:, :2] * (self.camera.scale, -self.camera.scale)
            spot = self.place(eye[None])[0]
            white = spot + UNIT_CIRCLE @ (across[:2] * [[0.17], [0.10]])
            canvas.fill(white, shade((245.0, 245.0, 245.0), self.light))
            canvas.disc(spot, 0.038 * size, (35.0, 30.0, 30.0))
            arch = eye + np.array([[-0.2, 0.22, 0.0], [0.0, 0.28, 0.02], [0.2, 0.22, 0.0]])
            canvas.line(self.place(arch), brow, 0.028 * size)
            if self.appearance.glasses:
                ring = spot + UNIT_CIRCLE @ (across[:2] * [[0.26], [0.19]])
                canvas.line(np.concatenate([ring, ring[:1]]), (30.0, 30.0, 30.0), 0.022 * size)
        nose = np.array([0.0, -0.12, 1.0])
        if self.facing(nose) > -0.12:
            canvas.fill(hull(self.place(_NOSE)), shade(skin, 0.84), self.part)
        mouth = np.array([[-0.26, -0.47, 0.83], [0.0, -0.53, 0.86], [0.26, -0.47, 0.83]])
        if self.facing(mouth[1]) > 0.05:
            canvas.line(self.place(mouth), shade((70.0, 60.0, 150.0), self.light), 0.035 * size)

    def _cap(self, canvas: Canvas) -> None:
        color = shade(self.appearance.extra, self.light)
        crown = self.cap(_CROWN, 1.12)
        towards = self.facing(np.array([0.0, 0.0, 1.0]))
        parts = [(crown, 1.0), (hull(self.place(_VISOR)), 0.75)]
        for polygon, tone in parts if towards > 0 else parts[::-1]:
            if polygon is not None:
                canvas.fill(polygon, shade(color, tone), self.part)
