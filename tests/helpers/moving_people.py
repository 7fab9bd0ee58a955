"""Drawn people who walk through a picture: every joint of every frame is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mspose_plugin.synthetic import KEYPOINTS, background
from mspose_plugin.synthetic.appearance import sample_appearance
from mspose_plugin.synthetic.body import Camera, pose_body, sample_shape
from mspose_plugin.synthetic.canvas import Canvas
from mspose_plugin.synthetic.figure import PART_STRIDE, draw_figure
from mspose_plugin.synthetic.pose import Pose

RATE = 25.0
SIZE = (320, 240)


@dataclass(frozen=True)
class Walk:
    """Where a person walks, as shares of the picture's width, and how near to the camera."""

    start: float
    end: float
    stature: float  # of the picture's height
    floor: float = 0.95


@dataclass(frozen=True)
class Clip:
    """A video and its truth.

    Attributes:
        frames: ``[T, H, W, 3]``; None where they were not asked for.
        keypoints: ``[T, P, K, 2]`` in pixels.
        boxes: ``[T, P, 4]``, x1, y1, x2, y2 around all that belongs to the person.
        seen: share of each person that nobody in front covers, ``[T, P]``.
    """

    frames: np.ndarray
    keypoints: np.ndarray
    boxes: np.ndarray
    seen: np.ndarray


def _step(phase: float, heading: float) -> Pose:
    """Return a walker's pose; arms and legs swing against each other once in 2π."""
    swing = np.sin(phase) * np.array([-1, 1, 1, -1])
    out = np.where(swing > 0, 5.0, 175.0)
    bend = np.array([25.0, 25, 15, 15]) + 15 * np.maximum(-swing, 0)
    limbs = np.column_stack([np.array([28.0, 28, 26, 26]) * abs(swing), out, np.zeros(4), bend])
    return Pose(np.array([heading, 5.0, 0.0]), np.array([4.0, 0, 0]), np.zeros(3), limbs)


def walk(walks: list[Walk], frames: int = 50, size=SIZE, seed: int = 0, draw: bool = True) -> Clip:
    """Draw people walking; those of larger stature are in front.

    Args:
        walks: one for each person.
        frames: of the clip.
        size: width and height in pixels.
        seed: of clothes, bodies and background.
        draw: False leaves out frames and what is seen, which takes most of the time.
    """
    rng = np.random.default_rng(seed)
    width, height = size
    empty = background.cut(rng, background.textures((0,)), size)
    light = np.array([0.5, -0.5])
    people = [
        (sample_shape(rng), sample_appearance(rng, np.array(empty.mean((0, 1))), 1.0))
        for _ in walks
    ]
    images, points, boxes, seen = [], [], [], []
    for t in range(frames):
        canvas = Canvas(empty.copy(), np.zeros((height, width), np.uint16))
        found, alone = [], []
        for i in sorted(range(len(walks)), key=lambda i: walks[i].stature):
            way, (shape, clothes) = walks[i], people[i]
            heading = 70.0 if way.end > way.start else -70.0
            body = pose_body(shape, _step(2 * np.pi * t / RATE + i, heading))
            scale = way.stature * height
            x = width * (way.start + (way.end - way.start) * t / max(frames - 1, 1))
            y = way.floor * height + scale * body.points[:, 1].min()
            camera = Camera(scale, np.array([x, y]))
            if draw:
                draw_figure(canvas, body, camera, clothes, i, light)
                alone.append((i, (canvas.ids // PART_STRIDE == i + 1).sum()))
            found.append((i, camera.project(body.points)))
        order = [all_points for _, all_points in sorted(found, key=lambda f: f[0])]
        points.append([p[: len(KEYPOINTS)] for p in order])
        margin = 0.02 * height
        boxes.append([np.r_[p.min(0) - margin, p.max(0) + margin] for p in order])
        if draw:
            images.append(canvas.image)
            shares = [(canvas.ids // PART_STRIDE == i + 1).sum() / whole for i, whole in alone]
            seen.append([share for _, share in sorted(zip([i for i, _ in alone], shares))])
    return Clip(*map(np.array, (images, points, boxes, seen)))


def detections(clip: Clip, rng: np.random.Generator, jitter: float = 0.02, least: float = 0.5):
    """Return, for each frame, what a detector finds: ``[N, 5]`` boxes with scores, and who it is.

    Args:
        clip: the clip, drawn.
        rng: random generator.
        jitter: deviation of the edges, a share of the box's size.
        least: share of a person that has to be seen for a detection.
    """
    found = []
    for boxes, seen in zip(clip.boxes, clip.seen):
        who = np.flatnonzero(seen >= least)
        rng.shuffle(who)
        extent = np.tile(boxes[who, 2:] - boxes[who, :2], 2)
        noisy = boxes[who] + jitter * extent * rng.standard_normal((len(who), 4))
        scores = np.clip(0.5 + 0.45 * seen[who], 0, 1)
        found.append((np.column_stack([noisy, scores]), who))
    return found
