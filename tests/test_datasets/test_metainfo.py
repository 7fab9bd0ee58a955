import numpy as np
import pytest
from mmengine.config import Config
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS

from mspose_plugin.datasets.metainfo import (
    OTHER_SIGMA,
    bones_of,
    metainfo_of,
    mirror_partners,
    without_partner,
)
from mspose_plugin.utils.errors import InputError


@pytest.mark.parametrize(
    'left, right',
    [
        ('left_x', 'right_x'),
        ('x_left', 'x_right'),
        ('l_x', 'r_x'),
        ('x_l', 'x_r'),
        ('L.x', 'R.x'),
        ('x.L', 'x.R'),
        ('LShoulder', 'RShoulder'),
        ('shoulderL', 'shoulderR'),
        ('leftShoulder', 'rightShoulder'),
        ('LEFT-SHOULDER', 'RIGHT-SHOULDER'),
        ('Left Shoulder', 'Right Shoulder'),
        ('lsho', 'rsho'),
        ('eyel', 'eyer'),
        ('leftknee', 'rightknee'),
        ('L_F_Paw', 'R_F_Paw'),
        ('lf_paw', 'rf_paw'),
        ('hand_left_3', 'hand_right_3'),
    ],
)
def test_names_of_two_sides(left, right):
    names = [right, 'nose', left, 'tail', 'lip', 'root', 'hand_left_4', 'L_B_Paw']
    partners = mirror_partners(names)
    assert partners == [2, 1, 0, 3, 4, 5, 6, 7]
    info = metainfo_of(dict(keypoints=names), 'x')['keypoint_info']
    assert info[0]['swap'] == left and info[2]['swap'] == right and info[1]['swap'] == ''
    assert info[0]['color'] == [255, 128, 0] and info[2]['color'] == [0, 200, 80]  # right, left


def test_a_joint_of_one_side_without_the_other_is_named():
    assert without_partner(['left_grip', 'right_grip', 'left_tip', 'end', 'lsho']) == ['left_tip']


SETS = ['Horse10', 'AP10K', 'AnimalPose', 'CocoWholeBody', 'Coco', 'CrowdPose', 'Human36m', 'Aic']


@pytest.mark.parametrize('name', SETS)
def test_flip_pairs_of_published_sets_come_from_their_names(name):
    """MMPose's own metainfo, typed by hand, has the same pairs."""
    kind = DATASETS.get(f'{name}Dataset')
    info = kind._load_metainfo()
    names = [info['keypoint_id2name'][k] for k in range(info['num_keypoints'])]
    ours, theirs = np.array(mirror_partners(names)), np.array(info['flip_indices'])
    wrong = [names[k] for k in np.flatnonzero(ours != theirs)]
    assert not [name for name in wrong if not name.startswith('face-')]  # these are numbered


def test_sigmas_are_given_or_coco_s_or_another():
    names = ['nose', 'LShoulder', 'relb', 'knee_left', 'left ankle', 'tail', 'earth', 'hip_r']
    sigmas = metainfo_of(dict(keypoints=names), 'x')['sigmas']
    assert sigmas == [0.026, 0.079, 0.072, 0.087, 0.089, OTHER_SIGMA, OTHER_SIGMA, 0.107]
    given = metainfo_of(dict(keypoints=names, sigmas=[0.1] * 8), 'x')['sigmas']
    assert given == [0.1] * 8
    coco = DATASETS.get('CocoDataset')._load_metainfo()
    names = [coco['keypoint_id2name'][k] for k in range(17)]
    assert metainfo_of(dict(keypoints=names), 'x')['sigmas'] == pytest.approx(coco['sigmas'])
    assert pytest.approx(np.mean(coco['sigmas']), abs=1e-3) == OTHER_SIGMA


def test_a_rear_joint_is_no_ear():
    names = ['left_rear_knee', 'r_rear_elbow', 'rearKnee', 'left_rear_paw', 'lear', 'earl', 'rear']
    sigmas = metainfo_of(dict(keypoints=names), 'x')['sigmas']
    assert sigmas == [0.087, 0.072, 0.087, OTHER_SIGMA, 0.035, 0.035, 0.035]


def test_bones_count_from_1_or_0_or_have_names():
    names = ['a', 'b', 'c']
    for skeleton in ([[1, 2], [3, 2], [2, 1], [1, 1]], [[0, 1], [2, 1]], [['a', 'b'], ['c', 'b']]):
        assert bones_of(dict(keypoints=names, skeleton=skeleton)) == [(0, 1), (1, 2)]
    assert bones_of(dict(keypoints=names)) == []


@pytest.mark.parametrize(
    'more, words',
    [
        (dict(keypoints=[]), 'a list of names'),
        (dict(keypoints='nose'), 'a list of names'),
        (dict(keypoints=['a', 'a']), "'a'"),
        (dict(skeleton=[[1, 4]]), 'by number from 1'),
        (dict(skeleton=[[0, 3]]), 'by number from 0'),
        (dict(skeleton=[['a', 'tail']]), 'by name'),
        (dict(skeleton=[1, 2]), 'pairs'),
        (dict(sigmas=[0.1]), '3 positive numbers'),
        (dict(sigmas=[0.1, 0.1, 0]), '3 positive numbers'),
    ],
)
def test_wrong_categories(more, words):
    with pytest.raises(InputError, match=words):
        metainfo_of({'keypoints': ['a', 'b', 'c'], **more}, 'x')


def test_mmpose_reads_it(tmp_path):
    category = dict(keypoints=['tip', 'l_grip', 'r_grip'], skeleton=[[1, 2], [1, 3]])
    info = parse_pose_metainfo(metainfo_of(category, 'pliers'))
    assert info['flip_indices'] == [0, 2, 1] and info['skeleton_links'] == [(0, 1), (0, 2)]
    from mspose_plugin.cli.own_config import metainfo_text

    path = tmp_path / 'info.py'
    path.write_text(metainfo_text(metainfo_of(category, 'pliers')))
    assert Config.fromfile(path).dataset_info == metainfo_of(category, 'pliers')
