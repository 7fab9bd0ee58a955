"""FLIC from both formats: conventions, boxes, splits and messages."""

import logging
from pathlib import Path

import h5py
import numpy as np
import pytest
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS
from scipy.io import savemat

import mspose_plugin  # noqa: F401
from mspose_plugin.datasets import FlicDataset
from mspose_plugin.datasets.flic import COLUMNS, MIRRORED, to_observer_centric
from mspose_plugin.utils.errors import InputError

pytestmark = pytest.mark.usefixtures('fresh_logger')

init_default_scope('mmpose')  # where a pipeline's step names are looked up

SHARED = Path(__file__).resolve().parents[3] / 'shared' / 'data' / 'flic'
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f'real annotations not at {SHARED}')

N = 6
FRONT = np.array(
    [
        [300, 200],
        [320, 280],
        [310, 340],
        [200, 200],
        [180, 280],
        [190, 340],
        [280, 400],
        [215, 395],
        [262, 120],
        [238, 120],
        [250, 130],
    ],
    dtype=float,
)


def people():
    """Return joints [6, 11, 2], person-centric, 1-based; number 2 is seen from behind."""
    joints = np.stack([FRONT + 3 * i for i in range(N)])
    joints[2] = joints[2][MIRRORED]
    return joints


def write_mat(path, joints=None, **changes):
    """Write the original format; persons 0 to 3 train, the others test."""
    joints = people() if joints is None else joints
    examples = np.zeros(
        len(joints),
        dtype=[
            (name, object)
            for name in (
                'poselet_hit_idx',
                'moviename',
                'coords',
                'filepath',
                'imgdims',
                'currframe',
                'torsobox',
                'istrain',
                'istest',
            )
        ],
    )
    for i, points in enumerate(joints):
        coords = np.full((2, 29), np.nan)
        coords[:, COLUMNS] = points.T
        fields = dict(
            poselet_hit_idx=np.arange(3),
            moviename='movie',
            coords=coords,
            filepath=f'movie-{i // 2:08d}.jpg',
            imgdims=[480, 720, 3],
            currframe=i,
            torsobox=[190.0 + i, 180.0, 310.0 + i, 400.0],
            istrain=i < 4,
            istest=i >= 4,
        )
        for name, value in {**fields, **changes}.items():
            examples[i][name] = value
    savemat(path, dict(examples=examples))
    return str(path)


def write_h5(path, joints=None, **changes):
    """Write pose-hg-train's format with the same persons."""
    joints = people() if joints is None else joints
    n = len(joints)
    content = dict(
        imgname=np.array([f'movie-{i // 2:08d}.jpg'.encode() for i in range(n)]),
        part=joints,
        visible=np.ones((n, 11)),
        scale=np.full(n, 2.2),
        center=np.array([[250.0 + i, 240.0] for i in range(n)], dtype=np.float32),
    )
    with h5py.File(path, 'w') as f:
        for name, value in {**content, **changes}.items():
            if value is not None:
                f[name] = value
    return str(path)


def build(path, **kwargs):
    """Build the dataset as a config does."""
    return DATASETS.build(dict(type='FlicDataset', ann_file=str(path), **kwargs))


def test_both_formats_give_the_same(tmp_path):
    mat, h5 = write_mat(tmp_path / 'examples.mat'), write_h5(tmp_path / 'train.h5', people()[:4])
    a, b = build(mat, split='train'), build(h5)
    assert len(a) == len(b) == 4 and len(build(mat, split='test', test_mode=True)) == 2
    for i in range(4):
        np.testing.assert_equal(a.get_data_info(i), b.get_data_info(i))


def test_zero_based_and_observer_centric(tmp_path):
    dataset = build(write_h5(tmp_path / 'x.h5'))
    joints = np.concatenate([dataset.get_data_info(i)['keypoints'] for i in range(N)])
    want = np.stack([FRONT + 3 * i for i in range(N)]) - 1  # number 2 is as if seen from the front
    np.testing.assert_allclose(joints, want)
    own = build(write_h5(tmp_path / 'y.h5'), observer_centric=False).get_data_info(2)
    np.testing.assert_allclose(own['keypoints'][0], want[2][MIRRORED])


def test_observer_centric_is_idempotent_and_needs_both_arms():
    once = to_observer_centric(people())
    np.testing.assert_array_equal(to_observer_centric(once), once)
    crossed = people()[2:3]
    crossed[0, 2, 0] = crossed[0, 5, 0] + 1  # one wrist on its own side
    np.testing.assert_array_equal(to_observer_centric(crossed), crossed)
    unlabelled = people()[2:3]
    unlabelled[0, 1] = np.nan
    np.testing.assert_array_equal(to_observer_centric(unlabelled), unlabelled)


def test_the_pipeline_crops_what_pose_hg_train_crops(tmp_path):
    pipeline = [dict(type='GetBBoxCenterScale', padding=1.25)]
    info = build(write_mat(tmp_path / 'examples.mat'), split='train', pipeline=pipeline)[0]
    np.testing.assert_allclose(info['bbox_center'], [[249, 239]])
    np.testing.assert_allclose(info['bbox_scale'], [[440, 440]], rtol=1e-6)
    half = build(
        write_mat(tmp_path / 'half.mat', imgdims=[240, 360, 3]), split='train', pipeline=pipeline
    )[0]
    np.testing.assert_allclose(half['bbox_center'], [[249, 119]])
    np.testing.assert_allclose(half['bbox_scale'], [[220, 220]], rtol=1e-6)


def test_unlabelled_and_outside_points(tmp_path):
    joints = people()
    joints[0, 4] = np.nan
    joints[0, 7] = [-6.5, 500]  # outside, and labelled all the same
    info = build(write_mat(tmp_path / 'examples.mat', joints), split='train').get_data_info(0)
    assert info['keypoints_visible'][0].tolist() == [1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1]
    assert info['num_keypoints'] == 10 and np.isfinite(info['keypoints']).all()
    np.testing.assert_allclose(info['keypoints'][0, 7], [-7.5, 499])


def test_persons_left_out(tmp_path):
    joints = people()
    joints[1] = np.nan
    mat = write_mat(tmp_path / 'examples.mat', joints, istrain=True, istest=True)
    assert [d['id'] for d in build(mat, split='train')] == [0, 2, 3, 4, 5]
    assert [d['id'] for d in build(mat, split='test', test_mode=True)] == [0, 1, 2, 3, 4, 5]
    boxless = write_mat(tmp_path / 'boxless.mat', torsobox=np.zeros((0, 0)))
    with pytest.raises(InputError, match='none of the 4 persons'):
        build(boxless, split='train')
    scale = np.full(N, 2.2)
    scale[3] = 0
    assert [d['id'] for d in build(write_h5(tmp_path / 'x.h5', scale=scale))] == [0, 1, 2, 4, 5]


def test_persons_with_nothing_to_learn_from(tmp_path):
    joints = people()
    joints[1] += 5000
    path = write_h5(tmp_path / 'x.h5', joints)
    lines, logger = [], MMLogger.get_current_instance()
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())
    logger.addHandler(handler)
    assert len(build(path)) == len(build(path, test_mode=True)) == N
    logger.removeHandler(handler)
    assert len(lines) == 1 and '1 of 6 persons have no labelled keypoint in their box' in lines[0]
    with pytest.raises(InputError, match='6 of 6 persons have no labelled keypoint'):
        build(write_h5(tmp_path / 'y.h5', people() - 5000))


def test_persons_of_one_frame_share_the_image_id(tmp_path):
    dataset = build(write_h5(tmp_path / 'x.h5'))
    assert [d['img_id'] for d in dataset] == [0, 0, 1, 1, 2, 2]


def test_metainfo():
    meta = FlicDataset(lazy_init=True).metainfo
    assert meta['num_keypoints'] == 11 and meta['flip_indices'] == MIRRORED
    assert meta['keypoint_id2name'][10] == 'nose' and len(meta['sigmas']) == 11
    assert (0, 1) in meta['skeleton_links'] and len(meta['skeleton_links']) == 10


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(coords=np.zeros((2, 28))), 'example 0 has coords=.*: expected 2 x 29 numbers'),
        (dict(torsobox=[1.0, 2.0]), 'example 0 has torsobox=.*: expected 4 numbers'),
        (dict(istrain=False), 'no person with istrain'),
    ],
)
def test_broken_mat(tmp_path, changes, message):
    path = write_mat(tmp_path / 'examples.mat', **changes)
    with pytest.raises(InputError, match=message) as e:
        build(path, split='train')
    assert 'examples.mat' in str(e.value)


def test_mat_without_fields_or_split(tmp_path):
    path = tmp_path / 'examples.mat'
    savemat(path, dict(examples=np.zeros(2, dtype=[('coords', object)])))
    with pytest.raises(InputError, match='filepath'):
        build(path, split='test')
    with pytest.raises(InputError, match="split='train'"):
        build(path)
    with pytest.raises(InputError, match="split='val': expected one of 'train', 'test'"):
        build(path, split='val')
    savemat(path, dict(other=1))
    with pytest.raises(InputError, match="no variable 'examples'"):
        build(path, split='test')


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(part=None), 'part'),
        (dict(visible=None), 'lacks visible'),
        (dict(part=np.zeros((N, 16, 2))), r'expected \[N\], \[N, 11, 2\]'),
        (dict(scale=np.ones(3)), 'scale'),
        (dict(part=np.zeros((0, 11, 2))), 'no person'),
    ],
)
def test_broken_h5(tmp_path, changes, message):
    path = write_h5(tmp_path / 'train.h5', **changes)
    with pytest.raises(InputError, match=message) as e:
        build(path)
    assert 'train.h5' in str(e.value)


def test_missing_files(tmp_path):
    with pytest.raises(InputError, match='no.h5.*not found.*flic-dataset.html'):
        build(tmp_path / 'no.h5')
    (tmp_path / 'bad.h5').write_bytes(b'text')
    with pytest.raises(InputError, match='not a readable HDF5'):
        build(tmp_path / 'bad.h5')
    with pytest.raises(InputError, match='neither .mat nor .h5'):
        build(tmp_path / 'x.json')
    path = write_h5(tmp_path / 'train.h5')
    with pytest.raises(InputError, match='image folder'):
        build(path, data_prefix=dict(img=str(tmp_path / 'images')))
    with pytest.raises(InputError, match="split='test'"):
        build(path, split='test')
    with pytest.raises(InputError, match='bbox_file'):
        build(path, bbox_file='x.json')


@needs_shared
@pytest.mark.parametrize('name, count', [('train', 3987), ('valid', 1016)])
def test_real_annotations(name, count):
    dataset = build(SHARED / f'{name}.h5', test_mode=name == 'valid')
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    joints = np.concatenate([info['keypoints'] for info in infos]).astype(float)
    with h5py.File(SHARED / f'{name}.h5') as f:
        part, normalize = f['part'][:], f['normalize'][:]
    assert len(dataset) == count
    np.testing.assert_allclose(joints, part - 1, atol=1e-4)  # already observer-centric
    for left, right in ((0, 3), (1, 4), (6, 7)):
        assert (joints[:, left, 0] > joints[:, right, 0]).all()
    own = np.linalg.norm(joints[:, 3] - joints[:, 6], axis=1)
    official = np.linalg.norm(joints[:, 0] - joints[:, 7], axis=1)
    # `normalize` is |right shoulder - left hip| of the person-centric labels, so that it equals
    # the official torso exactly for the 199 and 48 persons seen from behind
    behind = ~np.isclose(own, normalize, atol=1e-3)
    assert behind.sum() == dict(train=198, valid=48)[name]  # one of the 199 is symmetric
    np.testing.assert_allclose(official[behind], normalize[behind], atol=1e-3)
