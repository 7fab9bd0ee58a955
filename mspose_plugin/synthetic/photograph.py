"""What tells a photograph from a drawing: relief, texture, shadows, lens, sensor, compression.

All of it is ours, and only meant to vary: a network that has seen every kind of surface, light and
camera takes a real one for one more kind (domain randomisation: Tobin et al., "Domain Randomization
for Transferring Deep Neural Networks from Simulation to the Real World", IROS 2017,
https://arxiv.org/abs/1703.06907).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import mmcv
import numpy as np

from mspose_plugin.synthetic.figure import PART, PART_STRIDE
from mspose_plugin.synthetic.settings import EFFECTS

_TILE = 512  # side of a texture
_TILES = 48
# pieces that share a texture: skin and cloth above, cloth below, hair
_PIECES = {
    1: ('torso', 'backpack', 'left_upper_arm', 'right_upper_arm', 'left_forearm', 'right_forearm'),
    2: ('pelvis', 'skirt', 'left_thigh', 'right_thigh', 'left_shin', 'right_shin'),
    3: ('head', 'hair', 'neck', 'left_hand', 'right_hand', 'left_foot', 'right_foot'),
}
_PIECE_OF = np.zeros(PART_STRIDE, np.uint8)
for _piece, _parts in _PIECES.items():
    _PIECE_OF[[PART[name] for name in _parts]] = _piece


@cache
def _tiles() -> np.ndarray:
    """Return noise from smooth to fine and folds, of deviation 1, ``[_TILES, _TILE, _TILE]``."""
    rng = np.random.default_rng(0)
    tiles = np.empty((_TILES, _TILE, _TILE), np.float32)
    frequency = np.fft.fftfreq(_TILE)
    for tile in tiles:
        turn, stretch = rng.uniform(0, np.pi), rng.choice([1.0, 1.0, rng.uniform(3, 12)])
        x, y = np.cos(turn) * frequency, np.sin(turn) * frequency
        u, v = x[None] + y[:, None], stretch * (x[:, None] - y[None])
        power = np.maximum(np.hypot(u, v), 1.0 / _TILE) ** -rng.uniform(0.6, 1.6)
        noise = np.fft.ifft2(np.fft.fft2(rng.standard_normal((_TILE, _TILE))) * power).real
        noise = noise / noise.std()
        if rng.random() < 0.25:  # a print: few grey levels
            noise = np.sign(noise) * rng.uniform(0.5, 1.0) + 0.3 * noise
        tile[:] = noise
    return tiles


def _texture(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Cut a texture at a random place and scale, float32 ``[H, W]`` of deviation about 1."""
    tile = _tiles()[int(rng.integers(_TILES))]
    zoom = rng.uniform(0.35, 1.0) * min(1.0, _TILE / max(shape))
    h, w = (max(2, int(side * zoom)) for side in shape)
    y, x = rng.integers(0, _TILE - h + 1), rng.integers(0, _TILE - w + 1)
    return cv2.resize(tile[y : y + h, x : x + w], shape[::-1], interpolation=cv2.INTER_LINEAR)


def _relief(ids: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shade every part as something round, float32 ``[H, W]``: dark away from the light."""
    edges = np.ones(ids.shape, np.uint8)
    edges[:, 1:] &= ids[:, 1:] == ids[:, :-1]
    edges[1:] &= ids[1:] == ids[:-1]
    height = cv2.distanceTransform(edges, cv2.DIST_L2, 3)
    height = cv2.GaussianBlur(height, (0, 0), rng.uniform(1.0, 3.5))
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0.0, 0.55)
    slope = np.cos(angle) * cv2.Sobel(height, -1, 1, 0) + np.sin(angle) * cv2.Sobel(
        height, -1, 0, 1
    )
    people = (ids >= PART_STRIDE).astype(np.float32)
    return 1.0 + (strength * people) * np.clip(slope / 8.0, -1.0, 1.0)


def _surfaces(ids: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Return the brightness of cloth, skin, hair and ground, float32 ``[H, W]``."""
    piece = np.where(ids >= PART_STRIDE, _PIECE_OF[ids % PART_STRIDE], 0)
    amounts = strength * rng.uniform(0.0, (0.25, 0.35, 0.3, 0.12))
    field = np.ones(ids.shape, np.float32)
    for number, amount in enumerate(amounts):
        field += np.where(piece == number, np.float32(amount), 0) * _texture(rng, ids.shape)
    return field


def _lighting(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return side light, cast shadows, patches of light and a vignette, float32 ``[H, W]``."""
    height, width = shape
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None]
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
    angle, side = rng.uniform(0, 2 * np.pi), max(0.0, rng.uniform(-0.4, 0.9))
    light = 1.0 + side * (np.cos(angle) * x + np.sin(angle) * y)
    for _ in range(max(0, int(rng.integers(-2, 4)))):
        corners = rng.uniform(-0.2, 1.2, (int(rng.integers(3, 6)), 2)) * (width, height)
        patch = np.ones(shape, np.float32)
        cv2.fillPoly(patch, [corners.astype(np.int32)], float(rng.choice([0.55, 0.7, 1.35])))
        light *= cv2.GaussianBlur(patch, (0, 0), rng.uniform(1.0, 0.05 * height))
    if rng.random() < 0.3:
        light *= 1.0 - rng.uniform(0.2, 0.9) * (x**2 + y**2)
    return light


def _tones(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Vary contrast, brightness, colour cast, saturation and gamma of ``[H, W, 3]`` in 0 to 1."""
    grey = image.mean(axis=2, keepdims=True)
    if rng.random() < 0.07:  # a photograph without colours
        image = np.repeat(grey, 3, axis=2)
    else:
        image = grey + (image - grey) * np.float32(rng.uniform(0.2, 1.25))
    middle, (brightness, contrast) = grey.mean(), rng.uniform((0.7, 0.6), (1.7, 1.8)).astype('f4')
    image = brightness * middle + contrast * (image - middle)
    image = image * rng.uniform(0.88, 1.12, 3).astype(np.float32)
    return np.clip(image, 0.0, 1.0) ** np.float32(rng.uniform(0.55, 1.35))


def _motion(size: int, angle: float) -> np.ndarray:
    """Return the kernel of a motion by ``size`` pixels."""
    kernel = np.zeros((size, size), np.float32)
    kernel[size // 2] = 1.0
    middle = 0.5 * (size - 1)
    turn = cv2.getRotationMatrix2D((middle, middle), angle, 1.0)
    turned = cv2.warpAffine(kernel, turn, (size, size))
    return turned / turned.sum()


def _lens(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blur by focus, motion or low resolution, or leave the image sharp."""
    kind, (height, width) = rng.random(), image.shape[:2]
    if kind < 0.25:
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 0.009 * height))
    if kind < 0.35:
        return cv2.filter2D(image, -1, _motion(int(rng.integers(3, 10)), rng.uniform(0, 180)))
    if kind < 0.6:
        zoom = rng.uniform(0.3, 0.8)
        small = cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return image


def photograph(
    image: np.ndarray,
    ids: np.ndarray,
    rng: np.random.Generator,
    strength: float,
    without: Sequence[str] = (),
) -> np.ndarray:
    """Make a drawing look more like a photograph, in one of many ways.

    Args:
        image: the drawing, uint8 ``[H, W, 3]`` in BGR.
        ids: owner of each pixel, see ``Scene.ids``, ``[H, W]``.
        rng: random generator.
        strength: factor on the textures; 1 is the usual one.
        without: those of :data:`~mspose_plugin.synthetic.settings.EFFECTS` that are left out.
            Default: none.

    Returns:
        The photograph, uint8 ``[H, W, 3]``.
    """
    texture, relief, light, tones, lens, noise, compression = (e not in without for e in EFFECTS)
    field = np.ones(ids.shape, np.float32)
    if texture:
        field = field * _surfaces(ids, rng, strength)
    if relief:
        field = field * _relief(ids, rng)
    if light:
        field = field * _lighting(ids.shape, rng)
    pixels = image.astype(np.float32) * (field / 255.0)[..., None]
    if tones:
        pixels = _tones(pixels, rng)
    if lens:
        pixels = _lens(pixels, rng)
    if noise and rng.random() < 0.6:
        grain = rng.standard_normal(pixels.shape, np.float32)
        pixels = pixels + np.float32(rng.uniform(0.0, 0.06)) * grain
    image = (255.0 * np.clip(pixels, 0.0, 1.0)).astype(np.uint8)
    if compression and rng.random() < 0.5:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 85))]
        file = cv2.imencode('.jpg', image, quality)[1]
        return mmcv.imfrombytes(file.tobytes(), backend='cv2')
    return image
