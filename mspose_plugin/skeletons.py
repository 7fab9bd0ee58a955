"""Human skeletal graphs S of the structure-aware loss, as data.

``GROUPS[name][n]`` is S_n, keypoint n with its neighbours. For MPII the paper's text (MSSPose,
ECCV 2018, §3.3) lists pairs head-thorax, shoulder-elbow, wrist-elbow, hip-knee, hip-hip and
knee-ankle, and triplets at elbows and knees. Ours: that a hip has both its pairs in one group; the
groups of pelvis, thorax and upper neck, which the text does not mention; COCO and FLIC, by the same
rule. :func:`groups_of` makes those of any other skeleton from its bones.
"""

from __future__ import annotations

from collections.abc import Iterable

GROUPS: dict[str, list[tuple[int, ...]]] = {
    # 0 rank 1 rkne 2 rhip 3 lhip 4 lkne 5 lank 6 pelvis 7 thorax 8 neck 9 head
    # 10 rwri 11 relb 12 rsho 13 lsho 14 lelb 15 lwri
    'mpii': [
        (0, 1),
        (0, 1, 2),
        (2, 1, 3),
        (3, 4, 2),
        (3, 4, 5),
        (5, 4),
        (6, 7),
        (7, 6, 9),
        (8, 7),
        (9, 7),
        (10, 11),
        (10, 11, 12),
        (12, 11),
        (13, 14),
        (13, 14, 15),
        (15, 14),
    ],
    # 0 nose 1 leye 2 reye 3 lear 4 rear 5 lsho 6 rsho 7 lelb 8 relb 9 lwri 10 rwri
    # 11 lhip 12 rhip 13 lkne 14 rkne 15 lank 16 rank
    'coco': [
        (0, 1, 2),
        (1, 0),
        (2, 0),
        (3, 1),
        (4, 2),
        (5, 7),
        (6, 8),
        (5, 7, 9),
        (6, 8, 10),
        (9, 7),
        (10, 8),
        (11, 12, 13),
        (12, 11, 14),
        (11, 13, 15),
        (12, 14, 16),
        (15, 13),
        (16, 14),
    ],
    # 0 lsho 1 lelb 2 lwri 3 rsho 4 relb 5 rwri 6 lhip 7 rhip 8 leye 9 reye 10 nose
    'flic': [
        (0, 1),
        (0, 1, 2),
        (2, 1),
        (3, 4),
        (3, 4, 5),
        (5, 4),
        (6, 7),
        (7, 6),
        (8, 10),
        (9, 10),
        (10, 8, 9),
    ],
}


def groups_of(bones: Iterable[tuple[int, int]], num_keypoints: int) -> list[tuple[int, ...]]:
    """Return the groups of a skeleton: each joint with all joints that a bone leads to.

    That is a pair at the end of a limb and a triplet at a joint with two bones, as in the paper;
    larger groups where more bones meet, and a joint alone where there is none, are ours.

    Args:
        bones: pairs of joint indices.
        num_keypoints: K.

    Returns:
        S_n for each joint n, as :data:`GROUPS` has them.
    """
    groups: list[dict[int, None]] = [{n: None} for n in range(num_keypoints)]
    for a, b in bones:
        groups[a][b] = None
        groups[b][a] = None
    return [tuple(group) for group in groups]
