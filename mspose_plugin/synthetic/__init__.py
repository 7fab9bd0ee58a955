"""Synthetic people: pictures of articulated, clothed figures whose pose is known exactly.

The path of a picture: a person's pose (``pose``), proportions (``body``) and clothes
(``appearance``) are sampled; ``figure`` draws them on a ``canvas`` with ``head`` and ``torso``;
``scene`` puts people, background and occluders together; ``annotation_writers`` say what a data
set notes of it; ``dataset`` renders and writes whole data sets. ``settings`` holds the difficulties
and framings.
"""

from mspose_plugin.synthetic.body import KEYPOINTS
from mspose_plugin.synthetic.dataset import Recipe, write_dataset
from mspose_plugin.synthetic.scene import Person, Scene, render_scene
from mspose_plugin.synthetic.settings import DIFFICULTIES, FRAMINGS, Difficulty, Framing

__all__ = [
    'DIFFICULTIES',
    'FRAMINGS',
    'KEYPOINTS',
    'Difficulty',
    'Framing',
    'Person',
    'Recipe',
    'Scene',
    'render_scene',
    'write_dataset',
]
