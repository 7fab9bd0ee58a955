"""Draws one posed and dressed body, far parts first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mspose_plugin.synthetic.appearance import Appearance
from mspose_plugin.synthetic.body import INDEX, Body, Camera
from mspose_plugin.synthetic.canvas import SIDES, Canvas, Color, capsules, fixed_point, hull, shade
from mspose_plugin.synthetic.head import Head
from mspose_plugin.synthetic.torso import Torso

# Parts of the id mask: a person's pixels carry PART_STRIDE * (person + 1) + part.
PART_STRIDE = 32
PARTS: tuple[str, ...] = (
    'torso', 'neck', 'head', 'hair', 'pelvis', 'skirt', 'backpack',
    'left_upper_arm', 'right_upper_arm', 'left_forearm', 'right_forearm', 'left_hand', 'right_hand',
    'left_thigh', 'right_thigh', 'left_shin', 'right_shin', 'left_foot', 'right_foot',
)  # fmt: skip
PART = {name: i for i, name in enumerate(PARTS)}

# limb, from, to, radius there, radius here (statures), garment slot, order within the limb
_SEGMENTS: tuple[tuple, ...] = (
    ('upper_arm', 'shoulder', 'elbow', 0.031, 0.024, 'skin', 0),
    ('forearm', 'elbow', 'wrist', 0.0245, 0.0165, 'skin', 0),
    ('hand', 'wrist', 'hand', 0.0185, 0.0165, 'skin', 0),
    ('upper_arm', 'shoulder', 'elbow', 0.037, 0.030, 'sleeve', 1),
    ('forearm', 'elbow', 'wrist', 0.0295, 0.0225, 'cuff', 1),
    ('thigh', 'hip', 'knee', 0.054, 0.036, 'skin', 0),
    ('shin', 'knee', 'ankle', 0.036, 0.021, 'skin', 0),
    ('thigh', 'hip', 'knee', 0.059, 0.042, 'thigh', 1),
    ('shin', 'knee', 'ankle', 0.041, 0.030, 'shin', 1),
    ('foot', 'ankle', 'toe', 0.026, 0.020, 'shoe', 2),
)
_ROWS = [(side, *row) for row in _SEGMENTS for side in ('left', 'right')]
_A = np.array([INDEX[f'{r[0]}_{r[2]}'] for r in _ROWS])
_B = np.array([INDEX[f'{r[0]}_{r[3]}'] for r in _ROWS])
_RA = np.array([r[4] for r in _ROWS])
_RB = np.array([r[5] for r in _ROWS])
_SLOTS = [r[6] for r in _ROWS]
_BIAS = np.array([0.02 + 0.0005 * r[7] for r in _ROWS])  # limbs lie on the torso, cloth on skin
_BIAS[[i for i, r in enumerate(_ROWS) if r[1] == 'hand']] += 0.003
_LIMB = [r[:2] for r in _ROWS]
_CLOTH = [i for i, r in enumerate(_ROWS) if r[6] in ('sleeve', 'thigh', 'shin')]
_SKIN = [_LIMB.index(_LIMB[i]) for i in _CLOTH]  # the bare limb under each of them
_ROUNDED = [r[1] not in ('hand', 'foot') for r in _ROWS]  # with a highlight along the middle
_PART = [PART[f'{r[0]}_{r[1]}'] for r in _ROWS]


def _garments(appearance: Appearance) -> dict[str, tuple[Color, float]]:
    """Return the colour and the covered fraction of each garment slot."""
    leg_cover = {'trousers': (1.0, 1.0), 'shorts': (0.75, 0.0), 'skirt': (0.0, 0.0)}[
        appearance.legwear
    ]
    sleeve = appearance.extra if appearance.chest == 'jacket' else appearance.shirt
    return {
        'skin': (appearance.skin, 1.0),
        'sleeve': (sleeve, min(appearance.sleeve, 1.0)),
        'cuff': (sleeve, 0.93 * max(appearance.sleeve - 1.0, 0.0)),
        'thigh': (appearance.legs, leg_cover[0]),
        'shin': (appearance.legs, leg_cover[1]),
        'shoe': (appearance.shoes, 1.0),
    }


def draw_figure(
    canvas: Canvas,
    body: Body,
    camera: Camera,
    appearance: Appearance,
    person: int,
    light: np.ndarray,
) -> None:
    """Draw a person, far parts first, into the image and the id mask.

    Args:
        canvas: image and id mask to draw into.
        body: the posed body.
        camera: projection to pixels.
        appearance: the appearance.
        person: index of the person, from 0.
        light: direction to the light in the image plane, ``[2]``, at most 1 long.
    """
    base = PART_STRIDE * (person + 1)
    strokes: list[tuple[float, Callable[[], None]]] = _limb_strokes(
        canvas, body, camera, appearance, base, light
    )
    torso = Torso(body, camera, appearance, base, light)
    strokes += torso.strokes(canvas)

    depth = body.head_centre[2]
    head = Head(body, camera, appearance, base + PART['head'], 1.0 + 0.25 * min(depth, 0.0))
    strokes.append((depth + 0.03, lambda: head.draw(canvas)))
    if appearance.hairstyle == 'long':
        strokes.append((depth - 0.1 * body.head[2, 2], lambda: _long_hair(canvas, head, base)))
    for _, stroke in sorted(strokes, key=lambda s: s[0]):
        stroke()


def _limb_strokes(
    canvas: Canvas, body: Body, camera: Camera, appearance: Appearance, base: int, light: np.ndarray
) -> list[tuple[float, Callable[[], None]]]:
    garments = _garments(appearance)
    cover = np.array([garments[slot][1] for slot in _SLOTS])
    cover[_SKIN] *= cover[_CLOTH] < 1.0  # what cloth covers entirely need not be drawn
    rows = np.flatnonzero(cover)
    a3 = body.points[_A[rows]]
    b3 = a3 + (body.points[_B[rows]] - a3) * cover[rows, None]
    a, b = camera.project(np.stack([a3, b3]))
    unit = camera.scale * body.shape.girth
    ra = _RA[rows] * unit
    rb = ra + (_RB[rows] * unit - ra) * cover[rows]
    rim = 0.006 * camera.scale + 0.4
    glow = light * (0.36 * ra)[:, None]
    count = len(rows)
    polygons = fixed_point(
        capsules(
            np.concatenate([a, a, a + glow]),
            np.concatenate([b, b, b + glow]),
            np.concatenate([ra + rim, ra, 0.5 * ra]),
            np.concatenate([rb + rim, rb, 0.5 * rb]),
        )
    )
    key = (0.5 * (a3[:, 2] + b3[:, 2]) + _BIAS[rows]).tolist()
    dim = np.clip(1.0 + 0.7 * a3[:, 2], 0.72, 1.05).tolist()

    def stroke(i: int) -> Callable[[], None]:
        color = shade(garments[_SLOTS[rows[i]]][0], dim[i])
        part = base + _PART[rows[i]]

        def draw() -> None:
            canvas.claim(polygons[i], part)
            canvas.fill_fixed(
                polygons[i, SIDES], shade(color, appearance.edge(0.58))
            )  # no rim across the joints
            canvas.fill_fixed(polygons[count + i], color)
            if _ROUNDED[rows[i]]:
                canvas.fill_fixed(polygons[2 * count + i], shade(color, appearance.edge(1.13)))

        return draw

    return [(key[i], stroke(i)) for i in range(count)]


def _long_hair(canvas: Canvas, head: Head, base: int) -> None:
    lock = np.array(
        [
            [0.85, 0.1, -0.4],
            [-0.85, 0.1, -0.4],
            [0.95, -1.5, -0.75],
            [-0.95, -1.5, -0.75],
            [0.5, -1.8, -0.8],
            [-0.5, -1.8, -0.8],
            [0, 0.9, -0.5],
            [0, -1.2, -1.0],
        ]
    )
    color = shade(head.appearance.hair, head.light)
    canvas.fill(
        hull(head.place(1.06 * lock)), shade(color, head.appearance.edge(0.6)), base + PART['hair']
    )
    canvas.fill(hull(head.place(lock)), shade(color, 0.88))
