"""The trunk: a tube of elliptic rings whose surface carries what tells front from back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mspose_plugin.synthetic.appearance import Appearance
from mspose_plugin.synthetic.body import Body, Camera
from mspose_plugin.synthetic.canvas import Canvas, Color, fixed_point, hull, shade

_LEVELS = 33
_V = np.linspace(-0.16, 1.07, _LEVELS)  # height: 0 at the hips, 1 at the shoulders
_STATIONS = [-0.16, 0.0, 0.15, 0.4, 0.62, 0.8, 0.93, 1.0, 1.07]
_ACROSS = np.interp(_V, _STATIONS, [0.070, 0.098, 0.094, 0.084, 0.097, 0.108, 0.106, 0.090, 0.046])
_DEEP = np.interp(_V, _STATIONS, [0.055, 0.076, 0.068, 0.060, 0.070, 0.074, 0.060, 0.048, 0.036])
_PHI = np.linspace(0.0, 2.0 * np.pi, 18, endpoint=False)
_CUTS = np.array([_LEVELS - 1, 28, 20, 14, 8, 3])  # rings, shoulders to hem
_BELT = 4  # index in _CUTS where the trousers begin
_STEPS = np.linspace(0.0, 1.0, 6)
_FRONT, _BACK = 0.0, np.pi


class Torso:
    """One trunk, ready to be drawn.

    Args:
        body: the posed body.
        camera: projection to pixels.
        appearance: colours, patterns and what the chest and the back carry.
        base: id of the person's torso in the mask; its other parts follow.
        light: direction to the light in the image plane, ``[2]``.
    """

    def __init__(
        self, body: Body, camera: Camera, appearance: Appearance, base: int, light: np.ndarray
    ) -> None:
        self.body, self.camera, self.appearance, self.base, self.light = (
            body,
            camera,
            appearance,
            base,
            light,
        )
        shape = body.shape
        up = _V[:, None]
        mix = np.clip(up, 0.0, 1.0)
        spine = np.linalg.norm(body.points[18])
        straight = up * body.points[18]
        bow = body.pelvis[:, 1] * spine - body.points[18]
        self.centre = straight + (mix * (1.0 - mix) * 0.8) * bow  # [L, 3]
        girth = shape.girth * (1.0 - 0.35 * (1 - shape.waist) * (np.abs(_V - 0.45) < 0.4))
        shoulders = np.interp(_V, [0.5, 0.9], [1.0, shape.shoulder / 0.108])
        left = body.pelvis[:, 0] + mix * (body.torso[:, 0] - body.pelvis[:, 0])
        front = body.pelvis[:, 2] + mix * (body.torso[:, 2] - body.pelvis[:, 2])
        self.across = left * (_ACROSS * girth * shoulders)[:, None]  # [L, 3]
        self.deep = front * (_DEEP * girth)[:, None]
        middle = _LEVELS // 2
        a, b = self.across[middle], self.deep[middle]
        self.seen = float(np.arctan2(a[2] / (a @ a), b[2] / (b @ b)))  # angle facing the viewer
        self.front = float(front[middle, 2])  # 1 when the chest faces the viewer
        self.depth = float(0.5 * body.points[18][2])

    def surface(self, v: np.ndarray, phi: np.ndarray, lift: float = 1.0) -> np.ndarray:
        """Project points of the surface to pixels.

        Args:
            v: heights, 0 at the hips and 1 at the shoulders.
            phi: angles about the spine, 0 in front and rising to the person's left, as ``v``.
            lift: factor on the distance from the spine.

        Returns:
            Pixels ``[N, 2]``.
        """
        level = np.rint((v - _V[0]) * ((_LEVELS - 1) / (_V[-1] - _V[0]))).astype(int)
        ring = np.sin(phi)[:, None] * self.across[level] + np.cos(phi)[:, None] * self.deep[level]
        return self.camera.project(self.centre[level] + lift * ring)

    def patch(
        self,
        canvas: Canvas,
        color: Color,
        height: tuple[float, float],
        middle: float,
        half: float | tuple[float, float],
        lift: float = 1.0,
        part: int = -1,
    ) -> None:
        """Fill the visible part of a piece of the surface.

        Args:
            canvas: where to draw.
            color: BGR.
            height: lower and upper height.
            middle: angle of its middle about the spine.
            half: half its angular width, or that width at the bottom and the top.
            lift: factor on the distance from the spine.
            part: id for the mask, negative for none.
        """
        bottom, top = half if isinstance(half, tuple) else (half, half)
        offset = (middle - self.seen + np.pi) % (2.0 * np.pi) - np.pi
        limit = 0.5 * np.pi - 0.03
        corners = (offset - bottom, offset + bottom, offset + top, offset - top)
        a, b, c, d = (min(max(corner, -limit), limit) for corner in corners)
        if b - a < 0.01 and c - d < 0.01:
            return
        phi = self.seen + np.concatenate([a + (b - a) * _STEPS, c + (d - c) * _STEPS])
        canvas.fill(self.surface(np.repeat(height, _STEPS.size), phi, lift), color, part)

    def strokes(self, canvas: Canvas) -> list[tuple[float, Callable[[], None]]]:
        """Return the depth of each piece of the trunk and how to draw it."""
        pieces = [(self.depth, lambda: self._trunk(canvas))]
        collar = 0.004 if self.front > -0.1 else -0.004
        pieces.append((self.depth + collar, lambda: self._neck(canvas)))
        if self.appearance.back == 'backpack':
            behind = self.depth - np.copysign(0.05, self.front)
            pieces.append((behind, lambda: self._backpack(canvas)))
        if self.appearance.legwear == 'skirt':
            knees = self.body.points[[11, 12, 13, 14], 2]
            pieces.append((float(knees.max()) + 0.03, lambda: self._skirt(canvas)))
        return pieces

    def _trunk(self, canvas: Canvas) -> None:
        appearance = self.appearance
        coat = appearance.extra if appearance.chest == 'jacket' else appearance.shirt
        dim = min(max(1.0 + 0.5 * self.depth, 0.75), 1.05)
        coat, legs = shade(coat, dim), shade(appearance.legs, dim)
        rings = self.centre[_CUTS, None] + np.sin(_PHI)[:, None] * self.across[_CUTS, None]
        rings = rings + np.cos(_PHI)[:, None] * self.deep[_CUTS, None]
        flat = self.camera.project(rings)  # [R, 18, 2]
        middles = flat.sum(axis=1, keepdims=True) / len(_PHI)
        rim = 1.0 + 0.07
        wide = fixed_point(middles + rim * (flat - middles))
        flat = fixed_point(flat)
        belt, last = _BELT, len(_CUTS) - 1
        for i in range(last):
            part = self.base if i < belt else self.base + 4
            dark = shade(coat if i < belt else legs, appearance.edge(0.58))
            canvas.fill_fixed(hull(wide[i : i + 2].reshape(-1, 2)), dark, part)
        for i in reversed(range(last)):
            canvas.fill_fixed(hull(flat[i : i + 2].reshape(-1, 2)), coat if i < belt else legs)
        self._pattern(canvas, coat, shade(appearance.trim, dim))
        self._cues(canvas, dim)

    def _pattern(self, canvas: Canvas, coat: Color, trim: Color) -> None:
        appearance = self.appearance
        glow = 0.5 * np.pi - 0.5
        if appearance.pattern == 'plain' or appearance.chest == 'jacket':
            self.patch(
                canvas, shade(coat, 1.1), (0.1, 0.9), self.seen + 0.7 * self.light[0], glow * 0.5
            )
            return
        count = appearance.pitch
        if appearance.pattern in ('stripes', 'checks'):
            step = 0.86 / count
            for i in range(count):
                low = 0.08 + i * step
                self.patch(canvas, trim, (low, low + 0.45 * step), self.seen, 1.5)
        if appearance.pattern in ('bars', 'checks'):
            tone = trim if appearance.pattern == 'bars' else shade(trim, 0.8)
            around = 2 * count
            for i in range(around):
                self.patch(
                    canvas, tone, (0.05, 0.93), 2.0 * np.pi * (i + 0.5) / around, 0.7 / around
                )

    def _cues(self, canvas: Canvas, dim: float) -> None:
        appearance = self.appearance
        skin, shirt, trim = (
            shade(c, dim) for c in (appearance.skin, appearance.shirt, appearance.trim)
        )
        dark = shade(shirt, 0.45 if sum(shirt) > 240 else 2.2)
        if appearance.chest == 'jacket':
            self.patch(canvas, shirt, (0.02, 0.98), _FRONT, (0.35, 0.55))
        self.patch(canvas, skin, (1.0 - 0.17 * appearance.neckline, 1.05), _FRONT, (0.05, 0.75))
        if appearance.chest == 'buttons':
            self.patch(canvas, shade(shirt, 0.8), (0.03, 0.88), _FRONT, 0.13)
            for v in (0.1, 0.28, 0.46, 0.64, 0.8):
                self.patch(canvas, dark, (v, v + 0.04), _FRONT, 0.06)
        elif appearance.chest == 'zip':
            self.patch(canvas, dark, (0.0, 0.9), _FRONT, 0.06)
        elif appearance.chest == 'print':
            self.patch(canvas, trim, (0.45, 0.8), _FRONT, 0.55)
            self.patch(canvas, shirt, (0.53, 0.72), _FRONT, 0.25)
        elif appearance.chest == 'tie':
            self.patch(canvas, trim, (0.2, 0.98), _FRONT, (0.17, 0.09))
        elif appearance.chest == 'pocket':
            self.patch(canvas, trim, (0.58, 0.76), 0.55, 0.22)
        if appearance.back == 'hood':
            self.patch(canvas, shade(trim, 0.9), (0.78, 1.04), _BACK, (0.45, 0.9), 1.1, self.base)
        elif appearance.back == 'number':
            for side in (-0.2, 0.2):
                self.patch(canvas, trim, (0.4, 0.78), _BACK + side, 0.09)
        elif appearance.back == 'backpack':
            strap = shade(appearance.extra, 0.7 * dim)
            for side in (-0.75, 0.75):
                self.patch(canvas, strap, (0.45, 1.0), side, 0.13, 1.03)

    def _neck(self, canvas: Canvas) -> None:
        points, unit = self.body.points, self.camera.scale * self.body.shape.girth
        ends = self.camera.project(np.stack([points[18], self.body.head_centre]))
        d = ends[1] - ends[0]
        side = np.array([-d[1], d[0]]) / (np.hypot(*d) + 1e-6) * (0.026 * unit)
        skin = shade(self.appearance.skin, 0.86)
        for factor, tone, part in (
            (1.2, self.appearance.edge(0.62), self.base + 1),
            (1.0, 1.0, -1),
        ):
            quad = np.stack(
                [ends[0] + side * 1.25, ends[0] - side * 1.25, ends[1] - side, ends[1] + side]
            )
            middle = 0.5 * (ends[0] + ends[1])
            canvas.fill(middle + (quad - middle) * factor, shade(skin, tone), part)

    def _backpack(self, canvas: Canvas) -> None:
        corners = np.array([[v, p] for v in (0.12, 0.93) for p in (-0.85, -0.4, 0.4, 0.85)])
        angle = np.pi + corners[:, 1]
        near = self.surface(corners[:, 0], angle, 1.0)
        far = self.surface(corners[:, 0], angle, 1.75)
        color = self.appearance.extra
        body = hull(np.concatenate([near, far]))
        middle = body.mean(axis=0)
        canvas.fill(middle + 1.05 * (body - middle), shade(color, 0.5), self.base + 6)
        canvas.fill(body, shade(color, 0.85))
        if self.front < 0.2:
            canvas.fill(hull(far), shade(color, 1.05))
            pocket = self.surface(
                np.array([0.2, 0.2, 0.45, 0.45]), np.pi + np.array([-0.45, 0.45, 0.45, -0.45]), 1.8
            )
            canvas.fill(hull(pocket), shade(color, 0.7))

    def _skirt(self, canvas: Canvas) -> None:
        points = self.body.points
        hem = points[[11, 12]] + 0.62 * (points[[13, 14]] - points[[11, 12]])
        ring = np.concatenate([self.across[[7, 7]] * [[1], [-1]], self.deep[[7, 7]] * [[1], [-1]]])
        top = self.centre[7] + 0.95 * ring
        flare = np.concatenate([hem + 0.72 * s * ring[i] for s in (1, -1) for i in (0, 2)])
        outline = hull(self.camera.project(np.concatenate([top, flare])))
        middle = outline.mean(axis=0)
        color = shade(self.appearance.legs, min(max(1.0 + 0.5 * self.depth, 0.75), 1.05))
        canvas.fill(
            middle + 1.06 * (outline - middle),
            shade(color, self.appearance.edge(0.58)),
            self.base + 5,
        )
        canvas.fill(outline, color)
