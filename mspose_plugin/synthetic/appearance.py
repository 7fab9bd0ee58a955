"""What a person wears: colours, garments, patterns, hair and accessories."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from mspose_plugin.synthetic.canvas import Color

# BGR, from light to dark
SKINS = np.array(
    [
        [185, 205, 240],
        [160, 185, 230],
        [135, 165, 215],
        [105, 140, 195],
        [80, 110, 165],
        [60, 85, 130],
        [48, 66, 105],
    ],
    float,
)
HAIRS = np.array(
    [
        [25, 25, 28],
        [30, 40, 55],
        [40, 60, 95],
        [60, 100, 150],
        [110, 170, 210],
        [40, 70, 140],
        [160, 160, 165],
    ],
    float,
)
_PALETTE = 4096  # colours of cloth

# name -> weight
PATTERNS = {'plain': 4.0, 'stripes': 1.6, 'bars': 1.0, 'checks': 1.2}
CHESTS = {'buttons': 1.5, 'zip': 1.3, 'print': 2.0, 'tie': 1.0, 'jacket': 1.6, 'pocket': 0.8}
BACKS = {'plain': 4.0, 'backpack': 2.0, 'hood': 1.5, 'number': 0.8}
SLEEVES = {0.0: 1.2, 0.55: 3.0, 1.0: 0.6, 2.0: 4.0}  # covered bones, from the shoulder
LEGWEAR = {'trousers': 6.0, 'shorts': 2.5, 'skirt': 1.3}
HAIRSTYLES = {'short': 4.0, 'long': 2.5, 'bald': 0.7, 'bun': 0.8, 'cap': 1.3}


@dataclass(frozen=True)
class Appearance:
    """The appearance of one person; colours are BGR."""

    skin: Color
    hair: Color
    shirt: Color
    trim: Color
    legs: Color
    shoes: Color
    extra: Color
    pattern: str
    chest: str
    back: str
    sleeve: float
    legwear: str
    hairstyle: str
    beard: bool
    glasses: bool
    neckline: float
    pitch: int
    outline: float = 1.0

    def edge(self, factor: float) -> float:
        """Return the brightness of an edge that a cartoon draws with ``factor``."""
        return factor + (1.0 - self.outline) * (1.0 - factor)


def _choices(table: dict) -> tuple[list, np.ndarray]:
    weights = np.array(list(table.values()))
    return list(table), np.cumsum(weights / weights.sum())


_TABLES = [_choices(t) for t in (PATTERNS, CHESTS, BACKS, SLEEVES, LEGWEAR, HAIRSTYLES)]


def sample_colors(rng: np.random.Generator, count: int, vivid: float = 0.85) -> np.ndarray:
    """Draw cloth colours: hue at random, saturation and value of dyed fabric.

    Args:
        rng: random generator.
        count: how many colours.
        vivid: largest saturation, 0 to 1.

    Returns:
        BGR colours [count, 3] in 0-255.
    """
    return _palette(vivid)[rng.integers(0, _PALETTE, count)]


@cache
def _palette(vivid: float) -> np.ndarray:
    u = np.random.default_rng(0).random((_PALETTE, 3))
    value = 35.0 + 205.0 * u[:, 2:]
    saturation = vivid * u[:, 1:2] ** 1.3
    hue = u[:, :1] * 2.0 * np.pi + np.array([0.0, 2.0, 4.0]) * np.pi / 3.0
    return value * (1.0 - saturation * (0.5 + 0.5 * np.cos(hue)))


def _far_from(candidates: np.ndarray, avoid: np.ndarray, distance: float) -> np.ndarray:
    """Return the first candidate away from all colours in ``avoid``, else the farthest one."""
    gaps = np.abs(candidates[:, None] - avoid[None]).sum(axis=2).min(axis=1) / 3.0
    return candidates[int(np.argmax(np.minimum(gaps, distance)))]


def _bgr(color: np.ndarray) -> Color:
    blue, green, red = color.tolist()
    return blue, green, red


def sample_appearance(
    rng: np.random.Generator, background: np.ndarray, contrast: float
) -> Appearance:
    """Draw an appearance that does not vanish in front of the background.

    Args:
        rng: random generator.
        background: mean BGR colour behind the person, ``[3]``.
        contrast: wanted mean channel distance of clothes to it, 0-255.

    Returns:
        The appearance.
    """
    u = rng.random(16)
    colors = sample_colors(rng, 30)
    back = np.asarray(background, float)[None]
    skin_tones = SKINS[rng.permutation(len(SKINS))] * (0.92 + 0.16 * u[0])
    skin = _far_from(skin_tones, back, 0.6 * contrast)
    hair = _far_from(HAIRS[rng.permutation(len(HAIRS))], skin[None], 45.0)
    shirt = _far_from(colors[:8], np.concatenate([back, skin[None]]), contrast)
    trim = _far_from(colors[8:14], shirt[None], 55.0)
    legs = _far_from(colors[14:22], np.concatenate([back, shirt[None]]), contrast)
    shoes = _far_from(colors[22:26] * 0.8, back, contrast)
    pattern, chest, rear, sleeve, legwear, style = (
        names[int(np.searchsorted(cdf, x))] for (names, cdf), x in zip(_TABLES, u[1:7], strict=True)
    )
    return Appearance(
        skin=_bgr(skin),
        hair=_bgr(hair),
        shirt=_bgr(shirt),
        trim=_bgr(trim),
        legs=_bgr(legs),
        shoes=_bgr(shoes),
        extra=_bgr(colors[29]),
        pattern=pattern,
        chest=chest,
        back=rear,
        sleeve=sleeve,
        legwear=legwear,
        hairstyle=style,
        beard=bool(u[7] < 0.18 and style != 'long'),
        glasses=bool(u[8] < 0.15),
        neckline=0.5 + u[9],
        pitch=4 + int(5 * u[10]),
    )


def _one_colour(worn: Appearance) -> Appearance:
    return replace(worn, legs=worn.shirt, shoes=worn.shirt if worn.pitch % 2 else worn.shoes)


def _coat(worn: Appearance) -> Appearance:
    return replace(worn, chest='jacket', legwear='skirt', legs=worn.extra, sleeve=2.0)


def _bare_trunk(worn: Appearance) -> Appearance:
    legwear = 'shorts' if worn.pitch % 2 else worn.legwear
    worn = replace(worn, shirt=worn.skin, sleeve=0.0, legwear=legwear)
    return replace(worn, chest='plain', pattern='plain', back='plain')


def _bare_limbs(worn: Appearance) -> Appearance:
    return replace(worn, sleeve=0.0, legwear='shorts', shoes=worn.skin)


def _tights(worn: Appearance) -> Appearance:
    return replace(worn, legwear='trousers', legs=worn.skin, sleeve=0.55)


DISGUISES = (_one_colour, _one_colour, _coat, _bare_trunk, _bare_limbs, _tights)


def disguise(
    worn: Appearance, rng: np.random.Generator, probability: float, outline: tuple[float, float]
) -> Appearance:
    """Change clothes so that they hide the waist or where limbs end, and soften the outlines.

    Args:
        worn: the appearance.
        rng: random generator.
        probability: of a change of clothes.
        outline: range of the outlines' strength.

    Returns:
        The new appearance.
    """
    if rng.random() < probability:
        worn = DISGUISES[int(rng.integers(len(DISGUISES)))](worn)
    return replace(worn, outline=rng.uniform(*outline))
