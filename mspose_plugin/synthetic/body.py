"""Articulated 3-D body: proportions, forward kinematics, projection.

Lengths are in statures (a standing person is about 1 high). The viewer's frame has x to the
image's right, y up and z towards the viewer; a person of heading 0 faces the viewer, so that the
anatomical left lies at the image's right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mspose_plugin.synthetic.pose import Pose

KEYPOINTS: tuple[str, ...] = (
    'nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear',
    'left_shoulder', 'right_shoulder', 'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist',
    'left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle', 'right_ankle',
    'pelvis', 'thorax', 'neck', 'head_top',
)  # fmt: skip
POINTS: tuple[str, ...] = (*KEYPOINTS, 'left_hand', 'right_hand', 'left_toe', 'right_toe')
INDEX: dict[str, int] = {name: i for i, name in enumerate(POINTS)}

# mean and relative standard deviation
_PROPORTIONS: dict[str, tuple[float, float]] = {
    'torso': (0.285, 0.04),
    'neck': (0.036, 0.08),
    'head': (0.158, 0.05),
    'shoulder': (0.108, 0.06),
    'hip': (0.060, 0.08),
    'upper_arm': (0.172, 0.05),
    'forearm': (0.148, 0.05),
    'hand': (0.075, 0.06),
    'thigh': (0.242, 0.04),
    'shin': (0.236, 0.04),
    'foot': (0.115, 0.06),
    'girth': (1.05, 0.11),
    'waist': (1.0, 0.08),
}
_NAMES = {name: i for i, name in enumerate(_PROPORTIONS)}
_MEAN = np.array([v[0] for v in _PROPORTIONS.values()])
_SPREAD = np.array([v[1] for v in _PROPORTIONS.values()])
# the head's half extents (across, up, forward) and centre, in head lengths from the upper neck
HEAD_RADII = np.array([0.345, 0.455, 0.41])
_HEAD_CENTRE = np.array([0.0, 0.545, 0.06])
# nose, left eye, right eye, left ear, right ear on the head's unit sphere
_FACE = np.array(
    [
        [0, -0.12, 1.12],
        [0.36, 0.13, 0.92],
        [-0.36, 0.13, 0.92],
        [1, -0.02, -0.05],
        [-1, -0.02, -0.05],
    ]
)


@dataclass(frozen=True)
class Shape:
    """Proportions of one body, in statures, in the order of ``_PROPORTIONS``."""

    values: np.ndarray

    def __getattr__(self, name: str) -> float:
        """Return the proportion called ``name``."""
        try:
            return float(self.values[_NAMES[name]])
        except KeyError:
            raise AttributeError(name) from None


@dataclass(frozen=True)
class Body:
    """A posed body in the viewer's frame.

    Args:
        points: positions of ``POINTS``, ``[P, 3]``, in statures.
        pelvis: axes (columns: left, up, forward) of the pelvis, ``[3, 3]``.
        torso: axes of the chest, ``[3, 3]``.
        head: axes of the head, ``[3, 3]``.
        head_centre: centre of the skull, ``[3]``.
        shape: the proportions.
    """

    points: np.ndarray
    pelvis: np.ndarray
    torso: np.ndarray
    head: np.ndarray
    head_centre: np.ndarray
    shape: Shape


_FLIP = np.array([1.0, -1.0])  # rows of an image grow downwards


@dataclass(frozen=True)
class Camera:
    """Weak perspective with a slight foreshortening.

    Args:
        scale: pixels per stature.
        offset: image position of the viewer frame's origin, ``[2]``, 0-based pixels.
        distance: distance of the camera in statures.
    """

    scale: float
    offset: np.ndarray
    distance: float = 6.0

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project points ``[..., 3]`` in statures to 0-based pixels ``[..., 2]``."""
        gain = (self.scale * self.distance) * _FLIP
        return self.offset + points[..., :2] * (gain / (self.distance - points[..., 2:]))


def sample_shape(rng: np.random.Generator, spread: float = 1.0) -> Shape:
    """Draw the proportions of a body; ``spread`` is a factor on their deviations."""
    deviation = np.clip(rng.standard_normal(_MEAN.size), -2.2, 2.2)
    return Shape(_MEAN * np.exp(spread * _SPREAD * deviation))


def rotation(axis: int, degrees: np.ndarray) -> np.ndarray:
    """Return right-handed rotations about a coordinate axis.

    Args:
        axis: 0, 1 or 2 for x, y or z.
        degrees: angles, any shape.

    Returns:
        Rotation matrices of ``[*degrees.shape, 3, 3]``.
    """
    angle = np.deg2rad(degrees)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.zeros((*angle.shape, 3, 3))
    matrix[..., axis, axis] = 1.0
    matrix[..., i, i] = matrix[..., j, j] = np.cos(angle)
    matrix[..., j, i] = sine = np.sin(angle)
    matrix[..., i, j] = -sine
    return matrix


_SIDE = np.array([1.0, -1.0, 1.0, -1.0])  # left arm, right arm, left leg, right leg
_HINGE = np.array([-1.0, -1.0, 1.0, 1.0])  # elbows bend forward, knees backward


def pose_body(shape: Shape, pose: Pose) -> Body:
    """Place all points of a body by forward kinematics.

    Args:
        shape: proportions.
        pose: joint angles.

    Returns:
        The body, its pelvis in the origin.
    """
    twist, bend, side = np.array([pose.root, pose.spine[[2, 0, 1]], pose.head[[2, 0, 1]]]).T
    turns = rotation(1, twist)
    bends = rotation(0, bend)
    sides = rotation(2, side * (1.0, -1.0, -1.0))
    pelvis = sides[0] @ bends[0] @ turns[0]
    torso = pelvis @ turns[1] @ sides[1] @ bends[1]
    head = torso @ turns[2] @ sides[2] @ bends[2]

    lift, out, inward, hinge = pose.limbs.T
    parents = np.array([torso, torso, pelvis, pelvis])
    upper = (
        parents
        @ rotation(1, _SIDE * out)
        @ rotation(0, -lift)
        @ rotation(1, -_SIDE * (out + inward))
    )
    lower = upper @ rotation(0, _HINGE * hinge)

    s = shape
    spine = pelvis[:, 1] + torso[:, 1]
    thorax = spine * (s.torso / np.linalg.norm(spine))
    shrug = 0.02 * np.clip((lift[:2] - 60.0) / 90.0, 0.0, 1.0)
    shoulders = thorax + (torso @ np.array([[s.shoulder, -s.shoulder], shrug, [0, 0]])).T
    hips = (pelvis @ np.array([[s.hip, -s.hip], [0, 0], [0, 0]])).T
    roots = np.concatenate([shoulders, hips])
    elbows = (
        roots - upper[:, :, 1] * np.array([s.upper_arm, s.upper_arm, s.thigh, s.thigh])[:, None]
    )
    wrists = elbows - lower[:, :, 1] * np.array([s.forearm, s.forearm, s.shin, s.shin])[:, None]
    hands = wrists[:2] - lower[:2, :, 1] * s.hand
    toes = wrists[2:] + (lower[2:, :, 2] - 0.32 * lower[2:, :, 1]) * s.foot

    neck = thorax + (torso[:, 1] + 0.4 * head[:, 1] + 0.25 * torso[:, 2]) * (s.neck / 1.4)
    head_centre = neck + head @ (_HEAD_CENTRE * s.head)
    face = head_centre + (_FACE * HEAD_RADII) @ head.T * s.head
    points = np.concatenate([
        face, shoulders, elbows[:2], wrists[:2], hips, elbows[2:], wrists[2:],
        np.zeros((1, 3)), thorax[None], neck[None], (neck + head[:, 1] * s.head)[None], hands, toes,
    ])  # fmt: skip
    return Body(points, pelvis, torso, head, head_centre, shape)
