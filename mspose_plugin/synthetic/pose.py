"""Pose families: ranges of joint angles in degrees from which poses are drawn.

A limb's upper bone hangs down at rest. ``raise`` lifts it, ``out`` is the compass direction of the
lift (0 forward, 90 outward, 180 backward), ``twist`` turns it inward about its own axis, and the
last angle bends the elbow or the knee.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# weight, then (low, high) of raise, out, twist, elbow
ARMS: dict[str, tuple] = {
    'hang': (3.0, (0, 18), (0, 100), (0, 45), (4, 35)),
    'swing': (1.5, (15, 45), (-10, 20), (0, 40), (20, 100)),
    'swing_back': (1.0, (15, 45), (160, 200), (0, 30), (10, 70)),
    'akimbo': (1.0, (32, 50), (80, 110), (70, 95), (80, 110)),
    'reach': (1.5, (60, 110), (-10, 45), (-20, 60), (0, 50)),
    'sideways': (1.5, (50, 100), (65, 110), (-60, 40), (0, 55)),
    'overhead': (1.5, (125, 168), (20, 100), (-30, 40), (0, 60)),
    'wave': (1.0, (65, 110), (70, 105), (-110, -60), (50, 110)),
    'fold': (1.0, (15, 38), (-5, 40), (35, 80), (75, 115)),
    'hold': (1.2, (8, 32), (0, 60), (0, 50), (65, 125)),
    'to_face': (0.8, (40, 85), (5, 60), (10, 50), (105, 135)),
    'behind': (0.3, (14, 32), (130, 190), (50, 95), (25, 75)),
}

# low and high of raise, out, twist, knee of one leg
_STAND = ((0, 9), (40, 100), (-22, 5), (0, 10))
_WIDE = ((10, 30), (65, 100), (-30, 0), (0, 22))
_SIT = ((72, 95), (0, 28), (-10, 10), (70, 105))
_SQUAT = ((75, 112), (8, 45), (-20, 5), (85, 130))
# weight, bend of the spine, then the two legs
LEGS: dict[str, tuple] = {
    'stand': (4.0, (-6, 12), _STAND, _STAND),
    'wide': (1.5, (-6, 25), _WIDE, _WIDE),
    'walk': (
        2.5,
        (-2, 12),
        ((14, 34), (0, 15), (-10, 5), (4, 30)),
        ((10, 28), (165, 190), (-15, 5), (8, 45)),
    ),
    'run': (
        1.5,
        (5, 30),
        ((40, 80), (0, 20), (-10, 5), (55, 105)),
        ((8, 38), (165, 190), (-12, 5), (25, 85)),
    ),
    'sit': (1.2, (-8, 25), _SIT, _SIT),
    'squat': (0.7, (10, 45), _SQUAT, _SQUAT),
    'kneel': (
        0.6,
        (-5, 25),
        ((75, 95), (0, 25), (-10, 5), (80, 105)),
        ((0, 18), (150, 190), (-5, 5), (75, 105)),
    ),
    'lunge': (
        1.0,
        (-5, 25),
        ((45, 80), (0, 25), (-10, 5), (45, 90)),
        ((18, 42), (160, 190), (-10, 5), (3, 35)),
    ),
    'kick': (0.8, (-15, 10), ((35, 90), (0, 60), (-20, 10), (0, 50)), _STAND),
    'bow': (0.8, (40, 85), _STAND, ((0, 15), (20, 100), (-20, 5), (0, 30))),
    'crane': (0.5, (-5, 10), ((40, 85), (20, 85), (-40, 0), (70, 125)), _STAND),
}


@dataclass(frozen=True)
class Pose:
    """Joint angles in degrees.

    Args:
        root: heading (0 faces the camera, 90 looks to the image's right), camera elevation, and
            in-plane roll, ``[3]``.
        spine: forward bend, bend to the left and twist to the left, ``[3]``.
        head: nod, tilt and turn relative to the torso, ``[3]``.
        limbs: raise, out, twist and bend of the left arm, right arm, left leg and right leg,
            ``[4, 4]``.
    """

    root: np.ndarray
    spine: np.ndarray
    head: np.ndarray
    limbs: np.ndarray


def _table(families: dict[str, tuple], first: int) -> tuple[np.ndarray, np.ndarray]:
    weights = np.array([f[0] for f in families.values()], float)
    ranges = np.array([f[first:] for f in families.values()], float)
    return np.cumsum(weights / weights.sum()), ranges


_ARM_CDF, _ARM_RANGES = _table(ARMS, 1)  # [A, 4, 2]
_LEG_CDF, _LEG_RANGES = _table(LEGS, 2)  # [L, 2, 4, 2]
_LEG_BEND = np.array([f[1] for f in LEGS.values()], float)  # [L, 2]


def sample_heading(rng: np.random.Generator, facing: float, side_on: float) -> float:
    """Draw a heading in degrees: mostly to or away from the camera.

    Args:
        rng: random generator.
        facing: probability of facing the camera rather than turning the back.
        side_on: probability of any heading at all.

    Returns:
        The heading in degrees, 0 facing the camera.
    """
    u = rng.random(3)
    if u[0] < side_on:
        return 360.0 * u[2]
    return float(rng.normal(0.0, 24.0)) + (0.0 if u[1] < facing else 180.0)


def sample_pose(
    rng: np.random.Generator,
    heading: float = 0.0,
    tilt: float = 6.0,
    tumble: float = 0.0,
    spread: float = 1.0,
    elevation: tuple[float, float] = (6.0, 7.0),
) -> Pose:
    """Draw a pose: a family for the legs, one for each arm, angles uniform in their ranges.

    Args:
        rng: random generator.
        heading: heading in degrees, 0 facing the camera.
        tilt: standard deviation of the in-plane rotation in degrees.
        tumble: probability of an arbitrary in-plane rotation.
        spread: factor on the half width of the ranges.
        elevation: mean and standard deviation of the camera's elevation in degrees.

    Returns:
        The pose.
    """
    u = rng.random(24)
    g = rng.standard_normal(9)
    arms = np.searchsorted(_ARM_CDF, u[:2])
    if u[2] < 0.5:  # both arms do the same
        arms[1] = arms[0]
    legs = int(np.searchsorted(_LEG_CDF, u[3]))
    leg_ranges = _LEG_RANGES[legs] if u[4] < 0.5 else _LEG_RANGES[legs][::-1]
    ranges = np.concatenate([_ARM_RANGES[arms], leg_ranges])  # [4, 4, 2]
    fraction = 0.5 + spread * (u[8:24].reshape(4, 4) - 0.5)
    limbs = ranges[..., 0] + fraction * (ranges[..., 1] - ranges[..., 0])
    limbs[:, 3] = np.maximum(limbs[:, 3], 0.0)  # elbows and knees do not bend backwards
    bend = _LEG_BEND[legs, 0] + (0.5 + spread * (u[5] - 0.5)) * np.ptp(_LEG_BEND[legs])
    roll = 360.0 * u[7] if u[6] < tumble else tilt * g[0]
    return Pose(
        root=np.array([heading, elevation[0] + elevation[1] * g[1], roll]),
        spine=np.array([bend, 5.0 * g[2], 8.0 * g[3]]),
        head=np.array([6.0 * g[4] + 2.0 - 0.3 * bend, 7.0 * g[5], np.clip(16.0 * g[6], -45, 45)]),
        limbs=limbs,
    )
