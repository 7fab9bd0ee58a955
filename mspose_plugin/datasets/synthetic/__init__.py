"""Synthetic people: pictures of articulated, clothed figures whose pose is known exactly.

Only NumPy, OpenCV and SciPy are needed here.
"""

from .body import KEYPOINTS
from .params import DIFFICULTIES, FRAMINGS, Difficulty, Framing
from .scene import Person, Scene, render_scene

__all__ = [
    'DIFFICULTIES',
    'FRAMINGS',
    'KEYPOINTS',
    'Difficulty',
    'Framing',
    'Person',
    'Scene',
    'render_scene',
]
