"""The skeletal graphs S: the paper's groups, and what must hold for every graph."""

from pathlib import Path

import mmpose
import pytest
from mmengine.config import Config
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mspose_plugin.datasets.flic_metainfo import FLIC_METAINFO
from mspose_plugin.skeletons import GROUPS, groups_of

# design of the project, after the paper's text; MPII order
PAPER = {
    0: {0, 1},
    1: {0, 1, 2},
    2: {2, 1, 3},
    3: {3, 4, 2},
    4: {3, 4, 5},
    5: {5, 4},
    9: {9, 7},
    10: {10, 11},
    11: {10, 11, 12},
    12: {12, 11},
    13: {13, 14},
    14: {13, 14, 15},
    15: {15, 14},
}
OURS = {6: {6, 7}, 7: {7, 6, 9}, 8: {8, 7}}


def metainfo(name):
    """Return MMPose's (for FLIC: our) description of a data set's keypoints."""
    if name == 'flic':
        return parse_pose_metainfo(FLIC_METAINFO)
    folder = Path(mmpose.__file__).parent / '.mim' / 'configs' / '_base_' / 'datasets'
    return parse_pose_metainfo(dict(from_file=str(folder / f'{name}.py')))


def test_mpii_groups_are_those_of_the_paper():
    assert {n: set(g) for n, g in enumerate(GROUPS['mpii'])} == {**PAPER, **OURS}


def test_elbows_and_knees_are_triplets():
    for name in GROUPS:
        info = metainfo(name)
        for n, keypoint in info['keypoint_id2name'].items():
            if 'elbow' in keypoint or 'knee' in keypoint:
                assert len(GROUPS[name][n]) == 3, (name, keypoint)


@pytest.mark.parametrize('name', GROUPS)
def test_every_keypoint_has_a_group_with_itself_and_neighbours(name):
    groups = GROUPS[name]
    assert len(groups) == metainfo(name)['num_keypoints']
    for n, group in enumerate(groups):
        assert n in group and 2 <= len(group) == len(set(group))
        assert all(0 <= m < len(groups) for m in group)


@pytest.mark.parametrize('name', GROUPS)
def test_symmetric_under_flip(name):
    """The mirror image of a keypoint's group is the group of its mirror image."""
    flip = metainfo(name)['flip_indices']
    for n, group in enumerate(GROUPS[name]):
        assert {flip[m] for m in group} == set(GROUPS[name][flip[n]])


@pytest.mark.parametrize('name', GROUPS)
def test_groups_are_data_that_a_config_can_hold(name):
    cfg = Config(dict(loss=dict(groups=GROUPS[name])))
    assert [tuple(g) for g in cfg.loss.groups] == GROUPS[name]


def test_groups_of_any_skeleton():
    """Pairs at ends, triplets where two bones meet; a joint without bones is alone."""
    assert groups_of([(0, 1), (1, 2), (4, 1)], 5) == [(0, 1), (1, 0, 2, 4), (2, 1), (3,), (4, 1)]
    assert groups_of([], 2) == [(0,), (1,)]
    limbs = [(0, 1), (1, 2), (3, 4), (4, 5), (6, 7), (8, 10), (9, 10)]
    assert [set(g) for g in groups_of(limbs, 11)] == [set(g) for g in GROUPS['flic']]
