"""Synthetic people: pictures of articulated, clothed figures whose pose is known exactly.

Only NumPy, OpenCV and SciPy are needed here.
"""

from mspose_plugin.synthetic.body import KEYPOINTS
from mspose_plugin.synthetic.params import DIFFICULTIES, FRAMINGS, Difficulty, Framing
from mspose_plugin.synthetic.scene import Person, Scene, render_scene

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
