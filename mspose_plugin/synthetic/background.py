"""Cluttered backgrounds, occluding objects, light and sensor."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from mspose_plugin.synthetic.appearance import sample_colors
from mspose_plugin.synthetic.canvas import UNIT_CIRCLE, Canvas, capsules, shade
from mspose_plugin.synthetic.settings import Difficulty

_TEXTURES = 14
_TEXTURE_SIDE = 512


def _texture(rng: np.random.Generator) -> np.ndarray:
    """Paint one large cluttered picture, uint8 ``[512, 512, 3]``."""
    side = _TEXTURE_SIDE
    coarse = sample_colors(rng, 32, 0.5).reshape(2, 4, 4, 3).astype(np.float32)
    picture, ground = (cv2.resize(c, (side, side), interpolation=cv2.INTER_CUBIC) for c in coarse)
    if rng.random() < 0.6:  # a horizon
        line = int(rng.uniform(0.35, 0.75) * side)
        picture[line:] = ground[line:]
    for cells in (8, 32, 128):
        grain = rng.normal(0.0, 55.0 / np.sqrt(cells), (cells, cells, 1)).astype(np.float32)
        picture = (
            picture + cv2.resize(grain, (side, side), interpolation=cv2.INTER_CUBIC)[..., None]
        )
    canvas = Canvas(np.clip(picture, 0, 255).astype(np.uint8), np.zeros((side, side), np.uint16))
    for _ in range(int(rng.integers(16, 56))):
        draw_shape(canvas, rng, rng.uniform(0, side, 2), rng.uniform(10, 110))
    for _ in range(int(rng.integers(0, 4))):  # fences, blinds, shelves
        start, gap = rng.uniform(0, side, 2), rng.uniform(8, 40)
        step = np.array([gap, 0.0]) if rng.random() < 0.5 else np.array([0.0, gap])
        along = step[::-1] * rng.uniform(3, 12)
        color = tuple(sample_colors(rng, 1, 0.6)[0].tolist())
        for i in range(int(rng.integers(4, 12))):
            canvas.line(np.stack([start, start + along]) + i * step, color, rng.uniform(1, 7))
    return cv2.GaussianBlur(canvas.image, (0, 0), float(rng.uniform(0.4, 3.0)))


@lru_cache(maxsize=4)
def textures(seed: tuple[int, ...]) -> list[np.ndarray]:
    """Return the pool of pictures that backgrounds are cut from; the same for the same seed."""
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    return [_texture(rng) for _ in range(_TEXTURES)]


@lru_cache(maxsize=1)
def _grain() -> np.ndarray:
    rng = np.random.default_rng(0)
    noise = rng.normal(128.0, 32.0, (1024, 1024, 3))
    return np.clip(noise, 0, 255).astype(np.uint8)


def cut(rng: np.random.Generator, pool: list[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Cut a background out of the pool at a random place, scale, flip and colouring.

    Args:
        rng: random generator.
        pool: pictures from ``textures``.
        size: width and height in pixels.

    Returns:
        uint8 ``[H, W, 3]``.
    """
    u = rng.random(8)
    picture = pool[int(u[0] * len(pool))]
    fit = min(_TEXTURE_SIDE / size[0], _TEXTURE_SIDE / size[1])
    zoom = fit * (0.2 + 0.8 * u[1])
    w, h = int(size[0] * zoom), int(size[1] * zoom)
    x, y = int(u[2] * (_TEXTURE_SIDE - w)), int(u[3] * (_TEXTURE_SIDE - h))
    piece = cv2.resize(picture[y : y + h, x : x + w], size, interpolation=cv2.INTER_LINEAR)
    if u[4] < 0.5:
        piece = cv2.flip(piece, 1)
    if u[5] < 0.6:  # fade towards a colour
        tint = sample_colors(rng, 1, 0.4)[0] * u[6]
        keep = 0.45 + 0.5 * u[7]
        piece = cv2.convertScaleAbs(piece, alpha=keep, beta=0.0)
        faded: Any = (*((1.0 - keep) * tint).tolist(), 0.0)  # OpenCV's stubs lack scalars here
        piece = cv2.add(piece, faded)
    return piece


def draw_shape(
    canvas: Canvas, rng: np.random.Generator, centre: np.ndarray, size: float, part: int = -1
) -> None:
    """Draw a box, pole, disc, limb-like capsule or plant.

    Args:
        canvas: where to draw.
        rng: random generator.
        centre: its middle in pixels, ``[2]``.
        size: its half extent in pixels.
        part: id for the mask, negative for none.
    """
    u = rng.random(6)
    color, other = (tuple(c) for c in sample_colors(rng, 2, 0.65).tolist())
    turn = 2.0 * np.pi * (u[1] if u[5] < 0.4 else round(4.0 * u[1]) / 4.0)  # often upright
    axis = np.array([np.cos(turn), np.sin(turn)])
    normal = np.array([-axis[1], axis[0]])
    kind = int(5 * u[0])
    if kind == 0:  # box with a lid
        half = axis * size, normal * size * (0.4 + 0.6 * u[2])
        corners = np.array(
            [-half[0] - half[1], half[0] - half[1], half[0] + half[1], half[1] - half[0]]
        )
        canvas.fill(centre + corners, shade(color, 0.7), part)
        canvas.fill(centre + 0.88 * corners, color)
        canvas.fill(centre + corners * 0.5, shade(other, 0.9))
    elif kind == 1:  # pole
        long, thin = axis * size * 4.0, normal * size * (0.15 + 0.15 * u[2])
        canvas.fill(
            centre + np.array([-long - thin, long - thin, long + thin, thin - long]),
            shade(color, 0.8),
            part,
        )
        canvas.fill(
            centre + np.array([-long, long, long + 0.5 * thin, 0.5 * thin - long]),
            shade(color, 1.15),
        )
    elif kind == 2:  # disc
        canvas.disc(centre, size, shade(color, 0.7), part)
        canvas.disc(centre, 0.88 * size, color)
        canvas.disc(centre - 0.25 * size, 0.35 * size, shade(color, 1.25))
    elif kind == 3:  # two limb-like capsules
        elbow = centre + axis * size
        bent = 2.5 * (u[2] - 0.5)
        hand = elbow + size * (np.cos(bent) * axis + np.sin(bent) * normal)
        thick = size * (0.16 + 0.12 * u[3])
        start, end = np.array([centre, elbow, centre, elbow]), np.array([elbow, hand, elbow, hand])
        wide = thick * np.array([1.0, 1.0, 0.8, 0.8])
        limbs = capsules(start, end, wide, 0.8 * wide)
        for outer, inner in zip(limbs[:2], limbs[2:], strict=True):
            canvas.fill(outer, shade(color, 0.6), part)
            canvas.fill(inner, color)
    else:  # plant
        green = (0.4 * color[0], 0.5 * color[1] + 60.0, 0.5 * color[2])
        for angle in turn + np.linspace(0.0, 5.0, 5) * (0.6 + 0.4 * u[2]):
            tip = np.array([np.cos(angle), np.sin(angle)])
            leaf = UNIT_CIRCLE @ np.array([0.55 * tip, (-0.2 * tip[1], 0.2 * tip[0])])
            canvas.fill(
                centre + size * (leaf + 0.55 * tip), shade(green, 0.75 + 0.4 * abs(tip[1])), part
            )


def expose(image: np.ndarray, rng: np.random.Generator, difficulty: Difficulty) -> np.ndarray:
    """Apply light, defocus and sensor noise.

    Args:
        image: uint8 ``[H, W, 3]``.
        rng: random generator.
        difficulty: ranges of the effects.

    Returns:
        The exposed image, uint8 ``[H, W, 3]``.
    """
    u = rng.random(8)
    height, width = image.shape[:2]
    low, high = difficulty.gain
    gain = low + (high - low) * u[0]
    tint = 1.0 + 0.06 * rng.standard_normal(3).clip(-2, 2)
    if u[1] < 0.5:  # uneven light
        field = 1.0 + 0.3 * u[7] * rng.uniform(-1, 1, (3, 3, 1))
        small = np.clip(100.0 * gain * field * tint, 0, 255).astype(np.uint8)
        image = cv2.multiply(image, cv2.resize(small, (width, height)), scale=0.01)
    else:
        scalar: Any = (*(gain * tint).tolist(), 0.0)  # OpenCV's stubs lack scalars here
        image = cv2.multiply(image, scalar)
    if u[2] < difficulty.blur:
        image = cv2.GaussianBlur(image, (0, 0), 0.5 + 0.7 * u[3])
    amount = difficulty.noise * u[4] / 32.0
    grain = _grain()
    y, x = int(u[5] * max(1024 - height, 0)), int(u[6] * max(1024 - width, 0))
    noise = grain[y : y + height, x : x + width]
    if noise.shape != image.shape:  # a very large image
        noise = cv2.resize(noise, (width, height))
    return cv2.addWeighted(image, 1.0, noise, amount, -128.0 * amount)
