"""What makes a synthetic scene hard, as data: no other module branches on a difficulty's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

from mspose_plugin.utils.checks import (
    check_choice,
    check_keys,
    check_number,
    check_numbers,
    check_range,
    check_value,
)

EFFECTS = ('texture', 'relief', 'light', 'tones', 'lens', 'noise', 'compression')
"""What ``photograph.py`` does to a drawing, in this order."""

Range = tuple[float, float]
Normal = tuple[float, float]
"""Mean and standard deviation."""


@dataclass(frozen=True)
class Difficulty:
    """How cluttered, occluded and contorted the scenes are.

    Args:
        neighbour: probability that a person gets a crowding neighbour.
        neighbour_distance: lateral distance of a neighbour in statures of the person.
        neighbour_in_front: probability that the neighbour stands before the person.
        occluder: probability that an object covers a part of a person.
        occluder_size: half extent of such an object in statures.
        clutter: least and largest number of shapes drawn behind the people.
        contrast: least distance (0-255, mean over channels) of clothes to the background's mean.
        side_on: probability of an arbitrary heading instead of roughly facing to or away from
            the camera.
        tilt: standard deviation of the in-plane rotation in degrees.
        tumble: probability of any in-plane rotation (handstands, lying people).
        pose_spread: factor on the half width of every joint-angle range.
        gain: range of the light's brightness factor.
        noise: largest standard deviation of the sensor noise in grey levels.
        blur: probability of a slight defocus.
        elevation: mean and standard deviation of the camera's elevation in degrees.
        distance: range of the camera's distance in statures; near ones foreshorten.
        build: factor on the spread of the bodies' proportions.
        outline: range of how dark the edges of limbs and clothes are drawn: 1 a cartoon's outline,
            0 none.
        disguise: probability of clothes that hide the waist or the limbs' ends: one colour from
            the neck down, a long coat, a bare trunk, bare feet.
        cropped: least probability that a person reaches over the image's edge.
        photograph: strength of what ``photograph.py`` does to the drawing, 0 nothing.
        without: those of its :data:`EFFECTS` that are left out.
    """

    neighbour: float = 0.3
    neighbour_distance: Range = (0.32, 0.75)
    neighbour_in_front: float = 0.3
    occluder: float = 0.3
    occluder_size: Range = (0.035, 0.10)
    clutter: tuple[int, int] = (2, 7)
    contrast: float = 40.0
    side_on: float = 0.3
    tilt: float = 6.0
    tumble: float = 0.04
    pose_spread: float = 1.0
    gain: Range = (0.75, 1.2)
    noise: float = 9.0
    blur: float = 0.2
    elevation: Normal = (6.0, 7.0)
    distance: Range = (6.0, 6.0)
    build: float = 1.0
    outline: Range = (1.0, 1.0)
    disguise: float = 0.0
    cropped: float = 0.0
    photograph: float = 0.0
    without: tuple[str, ...] = ()

    def changed(self, changes: Mapping[str, Any]) -> Difficulty:
        """Return these settings with others in place of some.

        Args:
            changes: name of a setting -> value; a list stands for a tuple, and in ``without`` an
                effect for a list of one.

        Raises:
            InputError: there is no such setting, or it cannot have that value.
        """
        kinds = {f.name: f.type for f in fields(self)}
        check_keys('changes', changes, kinds)
        values: dict[str, Any] = {
            name: tuple(v) if isinstance(v, list) else v for name, v in changes.items()
        }
        if isinstance(values.get('without'), str):  # as a command line gives a single one
            values['without'] = (values['without'],)
        for name, value in values.items():
            _CHECKS[kinds[name]](name, value)
        return replace(self, **values)


def _check_effects(name: str, value: Any) -> None:
    check_value(isinstance(value, tuple), name, value, f'a list of {", ".join(EFFECTS)}')
    for effect in value:
        check_choice(name, effect, EFFECTS)


_CHECKS: dict[Any, Callable[[str, Any], object]] = {
    'float': partial(check_number, low=0),
    'tuple[int, int]': partial(check_range, low=0, whole=True),
    'Range': check_range,
    'Normal': partial(check_numbers, shape=(2,)),
    'tuple[str, ...]': _check_effects,
}

DIFFICULTIES: dict[str, Difficulty] = {
    'easy': Difficulty(
        neighbour=0.0,
        occluder=0.0,
        clutter=(0, 3),
        contrast=60.0,
        side_on=0.1,
        tilt=3.0,
        tumble=0.0,
        pose_spread=0.7,
        gain=(0.85, 1.1),
        noise=4.0,
        blur=0.05,
    ),
    'normal': Difficulty(),
    'hard': Difficulty(
        neighbour=0.6,
        neighbour_distance=(0.22, 0.6),
        neighbour_in_front=0.5,
        occluder=0.65,
        occluder_size=(0.05, 0.14),
        clutter=(8, 20),
        contrast=20.0,
        side_on=0.5,
        tilt=12.0,
        tumble=0.1,
        pose_spread=1.2,
        gain=(0.45, 1.3),
        noise=16.0,
        blur=0.35,
    ),
    'photographic': Difficulty(
        neighbour=0.45,
        neighbour_distance=(0.22, 0.7),
        neighbour_in_front=0.4,
        occluder=0.45,
        occluder_size=(0.04, 0.13),
        clutter=(2, 16),
        contrast=12.0,
        side_on=0.45,
        tilt=10.0,
        tumble=0.08,
        pose_spread=1.2,
        gain=(0.75, 1.25),
        noise=6.0,
        blur=0.1,
        elevation=(8.0, 14.0),
        distance=(2.2, 8.0),
        build=1.7,
        outline=(-0.3, 1.0),
        disguise=0.4,
        cropped=0.4,
        photograph=1.0,
    ),
}


@dataclass(frozen=True)
class Framing:
    """How a data set frames its people.

    Args:
        size: default image width and height in pixels.
        people: least and largest number of people placed on purpose (neighbours come on top).
        stature: range of a standing person's height as a fraction of the image height.
        spread: largest distance of a person's centre from the image centre, as fractions of
            the image width and height.
        cropped: probability that a person reaches over the image's edge, mostly the lower one.
        facing: probabilities of looking to the camera and away from it; the rest is decided by
            ``Difficulty.side_on``, which replaces either.
        legs: whether placement keeps the whole body in the frame (else only head and torso).
        freedom: factor on ``Difficulty.side_on`` and ``Difficulty.tumble``.
    """

    size: tuple[int, int]
    people: tuple[int, int] = (1, 1)
    stature: Range = (0.58, 0.85)
    spread: Range = (0.05, 0.05)
    cropped: float = 0.15
    facing: float = 0.65
    legs: bool = True
    freedom: float = 1.0


FRAMINGS: dict[str, Framing] = {
    'mpii': Framing(size=(256, 256)),
    'coco': Framing(size=(320, 240), people=(1, 4), stature=(0.3, 0.95), spread=(0.42, 0.2)),
    'flic': Framing(
        size=(360, 240),
        stature=(1.1, 1.75),
        spread=(0.18, 0.05),
        cropped=0.0,
        facing=0.95,
        legs=False,
        freedom=0.35,
    ),
}
