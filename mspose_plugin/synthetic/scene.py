"""A scene: background, people, neighbours, occluding objects, light."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mspose_plugin.synthetic import background
from mspose_plugin.synthetic.appearance import Appearance, disguise, sample_appearance
from mspose_plugin.synthetic.body import KEYPOINTS, Body, Camera, pose_body, sample_shape
from mspose_plugin.synthetic.canvas import Canvas
from mspose_plugin.synthetic.figure import PART, PART_STRIDE, draw_figure
from mspose_plugin.synthetic.photograph import photograph
from mspose_plugin.synthetic.pose import sample_heading, sample_pose
from mspose_plugin.synthetic.settings import DIFFICULTIES, FRAMINGS, Difficulty, Framing
from mspose_plugin.utils.checks import check_value

_K = len(KEYPOINTS)
OCCLUDER = 1  # id of occluding objects in the mask


def _carriers() -> np.ndarray:
    """Return which part of a person carries which keypoint, bool ``[K, PART_STRIDE]``."""
    table = np.zeros((_K, PART_STRIDE), bool)
    parts = {
        'shoulder': ('upper_arm', 'torso', 'backpack'),
        'elbow': ('upper_arm', 'forearm'),
        'wrist': ('forearm', 'hand'),
        'hip': ('thigh', 'torso', 'pelvis', 'skirt'),
        'knee': ('thigh', 'shin', 'skirt'),
        'ankle': ('shin', 'foot'),
        'pelvis': ('torso', 'pelvis', 'skirt', 'left_thigh', 'right_thigh'),
        'thorax': ('torso', 'neck'),
        'neck': ('neck', 'head', 'torso'),
    }
    for k, name in enumerate(KEYPOINTS):
        side, _, joint = name.rpartition('_')
        for part in parts.get(name) or parts.get(joint) or ('head',):
            sided = f'{side}_{part}'
            table[k, PART[sided if sided in PART else part]] = True
    return table


_CARRIED_BY = _carriers()
# keypoints on the surface of the head or the trunk, which has a near and a far side
_SURFACE = [
    i for i, n in enumerate(KEYPOINTS) if n.endswith(('shoulder', 'hip', 'eye', 'ear', 'nose'))
]


@dataclass(frozen=True)
class Person:
    """One person of a scene.

    Args:
        index: its pixels in the id mask are those with ``ids // PART_STRIDE == index + 1``.
        keypoints: positions of ``KEYPOINTS``, ``[K, 2]``, 0-based pixels, also outside the image.
        inside: whether a keypoint lies in the image, bool ``[K]``.
        visible: whether it lies in the image and nothing covers it, bool ``[K]``.
        stature: height when standing, in pixels.
        head_length: distance from upper neck to head top, not foreshortened, in pixels.
        heading: degrees; 0 faces the camera, 90 looks to the image's right.
        neighbour: whether the person is only there to crowd another one.
    """

    index: int
    keypoints: np.ndarray
    inside: np.ndarray
    visible: np.ndarray
    stature: float
    head_length: float
    heading: float
    neighbour: bool


@dataclass(frozen=True)
class Scene:
    """A picture and what it shows.

    Args:
        image: uint8 ``[H, W, 3]`` in BGR.
        ids: owner of each pixel: 0 background, 1 occluding object, else a person's part (see
            ``Person.index``), uint16 ``[H, W]``.
        people: the people; those placed on purpose come first.
    """

    image: np.ndarray
    ids: np.ndarray
    people: list[Person]

    def silhouette(self, person: Person) -> np.ndarray:
        """Return the visible pixels of a person, bool ``[H, W]``."""
        return self.ids // PART_STRIDE == person.index + 1


@dataclass(frozen=True)
class _SampledPerson:
    """Who will be drawn where; a greater ``layer`` is nearer to the camera."""

    body: Body
    camera: Camera
    appearance: Appearance
    heading: float
    layer: float
    neighbour: bool


def _sample_people(
    rng: np.random.Generator,
    extra: np.random.Generator,
    framing: Framing,
    difficulty: Difficulty,
    size: tuple[int, int],
    mean: np.ndarray,
) -> list[_SampledPerson]:
    """Draw the people of a scene at random, and where they stand."""
    width, height = size
    count = int(rng.integers(framing.people[0], framing.people[1] + 1))
    stature_ratio = framing.stature[1] / framing.stature[0]
    sampled: list[_SampledPerson] = []

    def add(centre: np.ndarray, scale: float, layer: float, neighbour: bool) -> None:
        heading = sample_heading(rng, framing.facing, framing.freedom * difficulty.side_on)
        tumble = framing.freedom * difficulty.tumble
        spread, elevation = difficulty.pose_spread, difficulty.elevation
        pose = sample_pose(rng, heading, difficulty.tilt, tumble, spread, elevation)
        body = pose_body(sample_shape(rng, difficulty.build), pose)
        shown = body.points if framing.legs else body.points[[5, 6, 11, 12, 18, 19, 20]]
        middle = 0.5 * (shown[:, :2].min(axis=0) + shown[:, :2].max(axis=0))
        distance = extra.uniform(*difficulty.distance)
        camera = Camera(scale, centre - scale * middle * (1.0, -1.0), distance)
        appearance = sample_appearance(rng, mean, difficulty.contrast)
        appearance = disguise(appearance, extra, difficulty.disguise, difficulty.outline)
        sampled.append(_SampledPerson(body, camera, appearance, heading, layer, neighbour))

    for i in range(count):
        u = rng.uniform(-1.0, 1.0, 3)
        scale = height * framing.stature[0] * stature_ratio ** (0.5 + 0.5 * u[0])
        spread = np.array(framing.spread)
        if count > 1:  # side by side, so that nobody hides another one entirely
            u[1] = np.clip(-1.0 + (2.0 * i + 1.0 + 0.6 * u[1]) / count, -1.0, 1.0)
        centre = np.array([width, height]) * (0.5 + spread * u[1:])
        if rng.random() < max(framing.cropped, difficulty.cropped):
            centre += rng.uniform((-0.2, 0.0), (0.2, 0.4)) * (width, height)
        add(centre, scale, scale, False)
    for one in sampled[:count]:
        u = rng.random(5)
        if u[0] >= difficulty.neighbour:
            continue
        low, high = difficulty.neighbour_distance
        scale = one.camera.scale * (0.85 + 0.3 * u[1])
        side = 1.0 if u[2] < 0.5 else -1.0
        shift = np.array([side * (low + (high - low) * u[3]), 0.08 * (u[4] - 0.5)]) * scale
        in_front = rng.random() < difficulty.neighbour_in_front
        middle = one.camera.project(one.body.points[[17, 18]]).mean(axis=0)
        add(middle + shift, scale, one.layer + (0.5 if in_front else -0.5), True)
    return sampled


def _annotate(sampled: _SampledPerson, index: int, ids: np.ndarray) -> Person:
    """Find out which keypoints of a drawn person can be seen."""
    height, width = ids.shape
    points = sampled.body.points[:_K]
    keypoints = sampled.camera.project(points)
    pixel = np.rint(keypoints).astype(int)
    inside = ((pixel >= 0) & (pixel < (width, height))).all(axis=1)
    x, y = np.where(inside[:, None], pixel, 0).T
    owner = ids[y, x].astype(int)
    own = owner // PART_STRIDE == index + 1
    visible = inside & own & _CARRIED_BY[np.arange(_K), owner % PART_STRIDE]
    # what lies on the far side of the head or the trunk is hidden by the person's own body
    head, trunk = sampled.body.head_centre[2], 0.5 * (points[17, 2] + points[18, 2])
    axis = np.where(np.arange(_K) < 5, head - 0.02, trunk - 0.06)
    visible[_SURFACE] &= (points[:, 2] > axis)[_SURFACE]
    scale = sampled.camera.scale
    return Person(
        index=index,
        keypoints=keypoints,
        inside=inside,
        visible=visible,
        stature=scale,
        head_length=scale * sampled.body.shape.head,
        heading=sampled.heading,
        neighbour=sampled.neighbour,
    )


def render_scene(
    rng: np.random.Generator,
    framing: Framing = FRAMINGS['mpii'],
    difficulty: Difficulty = DIFFICULTIES['normal'],
    size: tuple[int, int] | None = None,
    pool: tuple[int, ...] = (0,),
) -> Scene:
    """Render people on a cluttered background.

    Args:
        rng: random generator; the scene is a function of its state and the other arguments.
        framing: how many people, how large and where.
        difficulty: clutter, crowding, occlusion, light.
        size: width and height in pixels, 32 or more. Default: those of the framing.
        pool: seed of the pictures that backgrounds are cut from (painted once per process).

    Raises:
        InputError: a smaller size.
    """
    width, height = size = size or framing.size
    check_value(min(size) >= 32, 'size', size, 'at least 32 pixels')
    image = background.cut(rng, background.textures(pool), size)
    canvas = Canvas(image, np.zeros((height, width), np.uint16))
    clutter = rng.random((int(rng.integers(difficulty.clutter[0], difficulty.clutter[1] + 1)), 3))
    for x, y, extent in (clutter * (width, height, 0.13 * height)).tolist():
        background.draw_shape(canvas, rng, np.array([x, y]), extent + 0.03 * height)
    mean = np.array(cv2.mean(image)[:3])
    angle = rng.uniform(0.0, 2.0 * np.pi)
    light = 0.8 * np.array([np.cos(angle), np.sin(angle)])

    extra = rng.spawn(1)[0]  # for what came later: `rng` itself draws what it always drew
    sampled = _sample_people(rng, extra, framing, difficulty, size, mean)
    for index in sorted(range(len(sampled)), key=lambda i: sampled[i].layer):
        one = sampled[index]
        draw_figure(canvas, one.body, one.camera, one.appearance, index, light)
        if not one.neighbour and rng.random() < difficulty.occluder:
            joint = one.body.points[int(rng.integers(5, 17))]
            extent = rng.uniform(*difficulty.occluder_size) * one.camera.scale
            spot = one.camera.project(joint) + rng.normal(0.0, 0.7 * extent, 2)
            background.draw_shape(canvas, rng, spot, extent, OCCLUDER)
    people = [_annotate(one, index, canvas.ids) for index, one in enumerate(sampled)]
    image = canvas.image
    if difficulty.photograph:
        strength, without = difficulty.photograph, difficulty.without
        image = photograph(image, canvas.ids, extra, strength, without)
    return Scene(background.expose(image, rng, difficulty), canvas.ids, people)
