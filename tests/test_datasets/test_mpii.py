"""0-based MPII: coordinates, boxes, what is left out, and messages."""

import copy
import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmpose.datasets.datasets import MpiiDataset
from mmpose.registry import DATASETS
from scipy.io import loadmat, savemat

import mspose_plugin  # noqa: F401
from mspose_plugin.datasets import ZeroBasedMpiiDataset
from mspose_plugin.utils.errors import InputError

pytestmark = pytest.mark.usefixtures('fresh_logger')

init_default_scope('mmpose')  # where a pipeline's step names are looked up

SHARED = Path(__file__).resolve().parents[3] / 'shared' / 'data'


def person(i, **changes):
    """Return one annotated person."""
    rng = np.random.default_rng(i)
    entry = dict(
        image=f'{i:09d}.jpg',
        center=[100.0 + i, 120.0],
        scale=1.5,
        joints_vis=[1] * 16,
        joints=rng.integers(1, 200, (16, 2)).astype(float).tolist(),
    )
    return {**entry, **changes}


@pytest.fixture
def root(tmp_path):
    """Return a folder with three persons, head boxes and an (empty) image folder."""
    write(tmp_path, [person(1), person(2), person(3)])
    savemat(tmp_path / 'heads.mat', dict(headboxes_src=boxes(3)))
    (tmp_path / 'images').mkdir()
    return tmp_path


def boxes(n):
    """Return head boxes [2, 2, n] with diagonals of 50, 100, 150 ... px."""
    out = np.zeros((2, 2, n))
    out[1] = np.outer([30, 40], np.arange(1, n + 1))
    return out


def write(folder, content):
    """Write an annotation file."""
    (folder / 'ann.json').write_text(content if isinstance(content, str) else json.dumps(content))


def build(root, **kwargs):
    """Build the dataset as a config does."""
    kwargs = dict(
        ann_file='ann.json', data_root=str(root), data_prefix=dict(img='images/'), **kwargs
    )
    return DATASETS.build(dict(type='ZeroBasedMpiiDataset', **kwargs))


def test_everything_is_one_pixel_less(root):
    dataset = build(root)
    raw = person(2)
    info = dataset.get_data_info(1)
    np.testing.assert_allclose(info['keypoints'][0], np.array(raw['joints']) - 1)
    np.testing.assert_allclose(info['bbox_center'], [[101, 120 + 15 * 1.5 - 1]])
    np.testing.assert_allclose(info['bbox_scale'], [[300, 300]])
    np.testing.assert_allclose(info['bbox'], [[101 - 150, 141.5 - 150, 101 + 150, 141.5 + 150]])
    assert info['img_path'].endswith('images/000000002.jpg') and len(dataset) == 3


def test_same_as_mmpose_but_for_the_joints(root, monkeypatch):
    monkeypatch.chdir(root)  # MMPose looks for its metainfo under the working folder first
    ours, theirs = (
        build(root),
        MpiiDataset(ann_file='ann.json', data_root=str(root), data_prefix=dict(img='images/')),
    )
    for i in range(3):
        a, b = ours.get_data_info(i), theirs.get_data_info(i)
        assert a.keys() == b.keys()
        np.testing.assert_allclose(a.pop('keypoints') + 1, b.pop('keypoints'))
        np.testing.assert_equal(a, b)


def test_metainfo_does_not_depend_on_the_working_folder(root, monkeypatch):
    """A file of ours at configs/_base_/datasets/mpii.py must not be taken for MMPose's."""
    shadow = root / 'configs' / '_base_' / 'datasets' / 'mpii.py'
    shadow.parent.mkdir(parents=True)
    shadow.write_text('train_dataloader = dict()\n')
    monkeypatch.chdir(root)
    assert build(root).metainfo['num_keypoints'] == 16


def test_head_sizes(root):
    dataset = build(root, headbox_file=str(root / 'heads.mat'), test_mode=True)
    sizes = [dataset.get_data_info(i)['head_size'] for i in range(3)]
    np.testing.assert_allclose(sizes, [[[30]], [[60]], [[90]]])  # 0.6 x diagonal


def test_persons_left_out(root):
    blank = person(2, joints_vis=[0] * 16, joints=[[-1, -1]] * 16)
    write(root, [person(1), blank, person(3, scale=-1.0), person(4)])
    savemat(root / 'heads.mat', dict(headboxes_src=boxes(4)))
    assert [d['img_id'] for d in build(root)] == [1, 4]
    test = build(root, headbox_file=str(root / 'heads.mat'), test_mode=True)
    assert [d['img_id'] for d in test] == [1, 2, 4]
    assert test.get_data_info(2)['head_size'] == 120  # still its own head box
    assert not test.get_data_info(1)['keypoints_visible'].any()


def test_warnings_are_counted_once(root):
    lines, logger = [], MMLogger.get_current_instance()
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())
    logger.addHandler(handler)
    blank = person(2, joints_vis=[0] * 16)
    write(root, [person(1), blank, blank, person(3, scale=0.0)])
    build(root)
    logger.removeHandler(handler)
    assert [line.split(': ')[1] for line in lines] == [
        'left out 1 of 4 persons without a positive scale',
        'left out 2 of 4 persons without a labelled joint',
    ]


def changed(**changes):
    """Return three persons, the middle one changed."""
    return [person(1), person(2, **changes), person(3)]


def lacking(key):
    """Return three persons, the last one without a key."""
    people = [person(1), person(2), person(3)]
    del people[2][key]
    return people


@pytest.mark.parametrize(
    'content, message',
    [
        ('', 'empty'),
        ('[1, ', 'not JSON'),
        ('\udcff'.encode('utf8', 'surrogateescape').decode('latin1'), 'not JSON'),
        ('{}', 'non-empty list'),
        ('[]', 'non-empty list'),
        ('[3]', 'person number 0'),
        (lacking('scale'), 'person number 2 lacks scale: expected a finite number'),
        (lacking('joints_vis'), 'person number 2 lacks joints_vis'),
        (changed(joints=[[1, 2]] * 15), 'person number 1 has joints=.*: expected 16 x 2 finite'),
        (changed(joints_vis=[1] * 17), 'person number 1 has joints_vis=.*: expected 16 finite'),
        (changed(joints=[[1, 2, 3]] * 16), 'person number 1 has joints'),
        (changed(joints=[[1, float('nan')]] * 16), 'person number 1 has joints'),
        (changed(center=[1]), 'person number 1 has center'),
        (changed(scale='big'), 'person number 1 has scale'),
        (changed(scale='1.5'), 'person number 1 has scale'),
        (changed(center=None), 'person number 1 has center'),
        (lacking('joints'), 'person number 2 lacks joints: .*only test sets may lack joints'),
        ('[' * 100_000 + ']' * 100_000, 'not JSON.*RecursionError'),
        (changed(image='person.jpg'), 'person.jpg'),
        (changed(image=7), 'image=7'),
        ([person(1, scale=-1.0)], 'none of the 1 persons'),
    ],
)
def test_broken_annotations(root, content, message):
    write(root, content)
    with pytest.raises(InputError, match=message) as e:
        build(root)
    assert 'ann.json' in str(e.value) and '\n' not in str(e.value)


def test_unreadable_annotations(root, monkeypatch):
    (root / 'ann.json').write_bytes(json.dumps([person(1)]).encode('utf-16'))
    with pytest.raises(InputError, match='ann.json.*not JSON in UTF-8'):
        build(root)
    monkeypatch.setattr(Path, 'read_text', lambda *_, **__: open('/proc/1/mem/x'))
    with pytest.raises(InputError, match='ann.json.*cannot be read.*check its permissions') as e:
        build(root)
    assert '\n' not in str(e.value)
    (root / 'ann.json').unlink()
    (root / 'ann.json').mkdir()
    with pytest.raises(InputError, match='ann.json.*is not a file'):
        build(root)


def unlabelled(*people):
    """Return persons as MPII's test set has them."""
    return [{key: p[key] for key in ('image', 'center', 'scale')} for p in people]


def test_persons_of_the_test_set_lack_joints(root):
    people = [*unlabelled(person(1), person(2)), person(3)]
    write(root, people)
    test = build(root, test_mode=True)
    assert len(test) == 3
    infos = [test.get_data_info(i) for i in range(3)]
    assert [info['keypoints_visible'].sum() for info in infos] == [0, 0, 16]
    assert [info['keypoints'].shape for info in infos] == [(1, 16, 2)] * 3
    assert [info['raw_ann_info'] for info in infos] == unlabelled(*people)
    with pytest.raises(InputError, match='person number 0 lacks joints'):
        build(root)
    half = person(2)
    del half['joints_vis']
    write(root, [half])
    with pytest.raises(InputError, match='person number 0 lacks joints_vis'):
        build(root, test_mode=True)


def test_joints_of_the_mat_file_replace_rounded_ones(root):
    people = [person(i) for i in (1, 2, 3)]
    exact = np.array([p['joints'] for p in people]) + 3e-5
    missing = np.zeros((16, 3), np.uint8)
    missing[4, 1] = 1
    savemat(
        root / 'heads.mat',
        dict(headboxes_src=boxes(3), jnt_missing=missing, pos_gt_src=exact.transpose(1, 2, 0)),
    )
    options = dict(headbox_file=str(root / 'heads.mat'), test_mode=True)
    info = build(root, **options).get_data_info(1)
    assert info['keypoints'].dtype == np.float64
    np.testing.assert_array_equal(info['keypoints'][0], exact[1] - 1)
    assert np.flatnonzero(info['keypoints_visible'][0] == 0).tolist() == [4]
    savemat(
        root / 'heads.mat',
        dict(
            headboxes_src=boxes(3), jnt_missing=missing, pos_gt_src=exact[::-1].transpose(1, 2, 0)
        ),
    )
    with pytest.raises(InputError, match='different joints; the two must belong together'):
        build(root, **options)
    savemat(
        root / 'heads.mat',
        dict(headboxes_src=boxes(3), jnt_missing=missing, pos_gt_src=np.zeros((14, 2, 3))),
    )
    with pytest.raises(InputError, match='pos_gt_src=.*: expected finite numbers of shape'):
        build(root, **options)


def test_persons_with_nothing_to_learn_from_are_counted(root):
    lines, logger = [], MMLogger.get_current_instance()
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())
    logger.addHandler(handler)
    away = person(2, joints=[[-5000.0, 9000.0]] * 16)
    write(root, [person(1), away, person(3)])
    build(root)
    build(root, test_mode=True)  # nothing is learnt there
    logger.removeHandler(handler)
    assert len(lines) == 1 and '1 of 3 persons have no labelled keypoint in their box' in lines[0]
    write(root, [away, away])
    with pytest.raises(InputError, match='ann.json: 2 of 2 persons have no labelled keypoint'):
        build(root)


def test_missing_files(root):
    with pytest.raises(InputError, match='headbox_file') as e:
        build(root, headbox_file=str(root / 'no.mat'), test_mode=True)
    assert 'no.mat' in str(e.value)
    (root / 'images').rmdir()
    with pytest.raises(InputError, match='image folder.*images.*mpii_human_pose_v1.tar.gz'):
        build(root)
    (root / 'ann.json').unlink()
    with pytest.raises(
        InputError, match='ann.json.*not found.*data/mpii/annotations.*mspose synthesize'
    ) as e:
        build(root)
    assert '\n' not in str(e.value)


@pytest.mark.parametrize(
    'content, message',
    [
        (dict(headboxes_src=boxes(2)), '2 persons.*3 persons'),
        (dict(headboxes_src=np.zeros((4, 3))), r'\[2, 2, any\]'),
        (dict(headboxes_src=np.zeros((2, 2, 3))), '3 head box'),
        (dict(other=boxes(3)), 'no variable'),
        (None, 'not a readable MATLAB file'),
    ],
)
def test_broken_head_boxes(root, content, message):
    (root / 'heads.mat').write_bytes(b'x' * 200)
    if content:
        savemat(root / 'heads.mat', content)
    with pytest.raises(InputError, match=message) as e:
        build(root, headbox_file=str(root / 'heads.mat'), test_mode=True)
    assert 'heads.mat' in str(e.value)


def test_refused_arguments(root):
    with pytest.raises(InputError, match='bbox_file'):
        build(root, bbox_file='boxes.json', test_mode=True)
    with pytest.raises(InputError, match='headbox_file=.*test_mode=True'):
        build(root, headbox_file=str(root / 'heads.mat'))


def test_through_a_pipeline(root):
    """The crop shows the joint where the transformed keypoint says."""
    entry = person(1, center=[321.0, 241.0], scale=1.2)
    entry['joints'][9] = [301.0, 201.0]  # pixel (300, 200) counted from 0
    write(root, [entry])
    img = np.zeros((480, 640, 3), np.uint8)
    img[199:202, 299:302] = 255
    cv2.imwrite(str(root / 'images' / '000000001.png'), img)
    write(root, [{**entry, 'image': '000000001.png'}])
    pipeline = [
        dict(type='LoadImageChecked'),
        dict(type='GetBBoxCenterScale', padding=1.25),
        dict(type='TopdownAffine', input_size=(256, 256)),
        dict(type='PackPoseInputs', pack_transformed=True),
    ]
    sample = build(root, pipeline=pipeline)[0]
    crop = sample['inputs'].numpy()[0].astype(float)
    ys, xs = np.mgrid[:256, :256]
    center = [(crop * xs).sum() / crop.sum(), (crop * ys).sum() / crop.sum()]
    expected = sample['data_samples'].gt_instances.transformed_keypoints[0, 9]
    np.testing.assert_allclose(center, expected, atol=0.3)


@pytest.mark.skipif(not SHARED.is_dir(), reason=f'real annotations not at {SHARED}')
def test_real_validation_set_matches_the_toolkits_ground_truth():
    root = SHARED / 'mpii_val'
    dataset = ZeroBasedMpiiDataset(
        ann_file='mpii_val.json',
        data_root=str(root),
        test_mode=True,
        headbox_file=str(root / 'mpii_gt_val.mat'),
    )
    truth = loadmat(root / 'mpii_gt_val.mat')
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    keypoints = np.concatenate([info['keypoints'] for info in infos])
    visible = np.concatenate([info['keypoints_visible'] for info in infos]) > 0
    assert len(dataset) == 2958
    assert (visible == (truth['jnt_missing'].T == 0)).all()
    error = np.abs(keypoints + 1 - truth['pos_gt_src'].transpose(2, 0, 1))
    assert error[visible].max() < 2e-4  # four decimals in the JSON file
    sample = SHARED / 'mpii_sample'
    train = ZeroBasedMpiiDataset(
        ann_file='test_mpii.json',
        data_root=str(sample),
        data_prefix=dict(img=''),
        pipeline=[dict(type='LoadImageChecked')],
    )
    assert len(train) == 5 and all(d['img'].shape[2] == 3 for d in train)


def test_annotations_are_not_changed_by_reading(root):
    before = copy.deepcopy(json.loads((root / 'ann.json').read_text()))
    build(root)
    assert json.loads((root / 'ann.json').read_text()) == before
