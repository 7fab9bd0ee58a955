"""FLIC's 11 joints for MMPose: names, pairs, skeleton, colours, weights, sigmas.

Left and right are the observer's for backs (see :mod:`mspose_plugin.datasets.flic`). Joint weights
follow MMPose's pattern for MPII (elbows 1.2, wrists 1.5; used only where a pipeline asks for them)
and sigmas are COCO's for the same joints; both are this project's choice.
"""

LEFT, RIGHT, MIDDLE = [0, 255, 0], [255, 128, 0], [51, 153, 255]

_JOINTS = [  # name, body part, partner, weight, sigma
    ('left_shoulder', 'upper', 'right_shoulder', 1.0, 0.079),
    ('left_elbow', 'upper', 'right_elbow', 1.2, 0.072),
    ('left_wrist', 'upper', 'right_wrist', 1.5, 0.062),
    ('right_shoulder', 'upper', 'left_shoulder', 1.0, 0.079),
    ('right_elbow', 'upper', 'left_elbow', 1.2, 0.072),
    ('right_wrist', 'upper', 'left_wrist', 1.5, 0.062),
    ('left_hip', 'lower', 'right_hip', 1.0, 0.107),
    ('right_hip', 'lower', 'left_hip', 1.0, 0.107),
    ('left_eye', 'upper', 'right_eye', 1.0, 0.025),
    ('right_eye', 'upper', 'left_eye', 1.0, 0.025),
    ('nose', 'upper', '', 1.0, 0.026),
]
_LINKS = [
    ('left_shoulder', 'left_elbow'),
    ('left_elbow', 'left_wrist'),
    ('right_shoulder', 'right_elbow'),
    ('right_elbow', 'right_wrist'),
    ('left_shoulder', 'right_shoulder'),
    ('left_shoulder', 'left_hip'),
    ('right_shoulder', 'right_hip'),
    ('left_hip', 'right_hip'),
    ('left_eye', 'nose'),
    ('right_eye', 'nose'),
]


def _colour(*names: str) -> list[int]:
    """Return the side's colour when all names are of one side."""
    sides = {name.split('_')[0] for name in names}
    return {'left': LEFT, 'right': RIGHT}.get(sides.pop(), MIDDLE) if len(sides) == 1 else MIDDLE


FLIC_METAINFO = dict(
    dataset_name='flic',
    paper_info=dict(
        author='Sapp, Ben and Taskar, Ben',
        title='MODEC: Multimodal Decomposable Models for Human Pose Estimation',
        container='CVPR',
        year='2013',
        homepage='https://bensapp.github.io/flic-dataset.html',
    ),
    keypoint_info={
        i: dict(name=name, id=i, color=_colour(name), type=part, swap=partner)
        for i, (name, part, partner, _, _) in enumerate(_JOINTS)
    },
    skeleton_info={i: dict(link=link, id=i, color=_colour(*link)) for i, link in enumerate(_LINKS)},
    joint_weights=[joint[3] for joint in _JOINTS],
    sigmas=[joint[4] for joint in _JOINTS],
)
