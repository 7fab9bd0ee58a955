"""COCO data sets: MMPose's own entries from good files, a line or a count from bad ones."""

import json
import logging

import numpy as np
import pytest
from mmengine.logging import MMLogger
from mmpose.datasets.datasets import CocoDataset
from mmpose.registry import DATASETS

from mspose_plugin.datasets import CheckedCocoDataset
from mspose_plugin.synthetic import Recipe, write_dataset
from mspose_plugin.utils.errors import InputError

pytestmark = pytest.mark.usefixtures('fresh_logger')

ANN = 'annotations/person_keypoints_val2017.json'
DET = 'person_detection_results/COCO_val2017_detections_AP_H_56_person.json'
MODES = [
    dict(),
    dict(test_mode=True),
    dict(data_mode='bottomup'),
    dict(sample_interval=3),
    dict(data_mode='bottomup', test_mode=True),
]


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """Return the annotation files of a synthetic data set."""
    root = tmp_path_factory.mktemp('coco') / 'set'
    write_dataset(Recipe('coco', 1, 9, size=(96, 96)), root)
    return root


@pytest.fixture
def lines():
    """Collect what is logged as information or warning."""
    found, logger = [], MMLogger.get_current_instance()
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: found.append(
        (record.levelname, record.getMessage().split('json: ')[-1])
    )
    logger.addHandler(handler)
    yield found
    logger.removeHandler(handler)


def build(ann_file, **options):
    """Build the data set by the name that MMPose's configs use."""
    return DATASETS.build(
        dict(
            type='CocoDataset', ann_file=str(ann_file), data_prefix=dict(img='val2017/'), **options
        )
    )


def person(number, **changes):
    """Return a good annotation: 17 keypoints in a box of image 1."""
    points = np.random.default_rng(number).integers(10, 60, (17, 2))
    keypoints = np.concatenate([points, np.full((17, 1), 2)], axis=1)
    return {
        **dict(
            id=number,
            image_id=1,
            category_id=1,
            bbox=[5.0, 5.0, 60.0, 60.0],
            area=900.0,
            iscrowd=0,
            num_keypoints=17,
            keypoints=keypoints.ravel().tolist(),
        ),
        **changes,
    }


def lacking(key):
    """Return an annotation without a key."""
    ann = person(2)
    del ann[key]
    return ann


def write(path, *anns, **changes):
    """Write a file of one image of 100 x 80 pixels and the annotations."""
    content = dict(
        images=[dict(id=1, file_name='a.jpg', width=100, height=80)],
        categories=[dict(id=1, name='person', keypoints=[]), dict(id=3, name='dog')],
        annotations=anns,
    )
    path.write_text(json.dumps({**content, **changes}))
    return path


def plain(value):
    """Return arrays as their type and values, so that == compares everything."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return (str(value.dtype), value.tolist()) if isinstance(value, np.ndarray) else value


def check_equal(ours, theirs):
    """Compare all entries of two data sets."""
    a, b = ([plain(d.get_data_info(i)) for i in range(len(d))] for d in (ours, theirs))
    assert a == b and a


@pytest.mark.parametrize('options', [*MODES, dict(test_mode=True, bbox_file=DET)], ids=str)
def test_good_files_give_what_mmpose_gives(source, options):
    if 'bbox_file' in options:
        options = dict(options, bbox_file=str(source / DET))
    ours, theirs = (
        build(source / ANN, **options),
        CocoDataset(ann_file=str(source / ANN), data_prefix=dict(img='val2017/'), **options),
    )
    assert type(ours) is CheckedCocoDataset
    check_equal(ours, theirs)
    assert plain(ours.metainfo) == plain(theirs.metainfo)


def test_real_files_give_what_mmpose_gives(shared_data):
    root = shared_data / 'coco_sample'
    boxes = str(root / 'test_coco_det_AP_H_56.json')
    for options in (*MODES, dict(test_mode=True, bbox_file=boxes)):
        ours, theirs = (
            build(root / 'test_coco.json', **options),
            CocoDataset(
                ann_file=str(root / 'test_coco.json'), data_prefix=dict(img='val2017/'), **options
            ),
        )
        check_equal(ours, theirs)


@pytest.mark.parametrize(
    'ann, reason, level',
    [
        (
            person(2, bbox=[5.0, 5.0, 0.0, 9.0]),
            'with a box without size inside the image',
            'WARNING',
        ),
        (
            person(2, bbox=[5.0, 5.0, 9.0, -9.0]),
            'with a box without size inside the image',
            'WARNING',
        ),
        (
            person(2, bbox=[500.0, 5.0, 9.0, 9.0]),
            'with a box without size inside the image',
            'WARNING',
        ),
        (person(2, image_id=7), 'in images that the file does not list', 'WARNING'),
        (person(2, category_id=3), 'of another category', 'WARNING'),
        (dict(id=2, category_id=3), 'of another category', 'WARNING'),
        (lacking('bbox'), 'without bbox or keypoints', 'WARNING'),
        (lacking('keypoints'), 'without bbox or keypoints', 'WARNING'),
        (person(2, iscrowd=1), 'marked as a crowd', 'INFO'),
        (person(2, num_keypoints=0, keypoints=[0] * 51), 'without a labelled keypoint', 'INFO'),
        (person(2, keypoints=[-9, -9, 2] * 17), 'with all keypoints outside the image', 'WARNING'),
    ],
)
def test_left_out_with_a_count(tmp_path, lines, ann, reason, level):
    path = write(tmp_path / 'ann.json', person(1), ann, person(3))
    assert [info['id'] for info in build(path)] == [1, 3]
    assert lines == [(level, f'left out 1 of 3 persons {reason}')]


@pytest.mark.parametrize(
    'ann, message',
    [
        (
            person(2, keypoints=[1, 2, 2] * 16),
            r'annotation 2 has keypoints=\[1, 2, 2, .* \(48 entries\): expected 51 finite',
        ),
        (person(2, keypoints=None), 'annotation 2 has keypoints'),
        (person(2, keypoints=['1', '2', '2'] * 17), 'annotation 2 has keypoints'),
        (person(2, keypoints=[1, float('nan'), 2] * 17), 'annotation 2 has keypoints'),
        (person(2, bbox=None), 'annotation 2 has bbox=None: expected 4 finite numbers'),
        (person(2, bbox=['1', 2, 3, 4]), 'annotation 2 has bbox'),
        (person(2, bbox=[1, 2, 3]), 'annotation 2 has bbox'),
        (person(2, bbox=[1, 2, float('inf'), 3]), 'annotation 2 has bbox'),
        (person(2, image_id='1'), "annotation 2 has image_id='1': expected an integer"),
        (person(2, image_id=None), 'annotation 2 has image_id=None'),
        (person(2, id='x'), "annotation 'x' has id='x'"),
        (lacking('id'), 'annotation number 1 lacks id'),
        (lacking('category_id'), 'annotation 2 lacks category_id'),
        (person(2, area='big'), "annotation 2 has area='big'"),
        (person(2, num_keypoints=None), 'annotation 2 has num_keypoints=None'),
        (person(1), 'annotations of id 1'),
    ],
)
@pytest.mark.parametrize('mode', ['topdown', 'bottomup'])
def test_what_cannot_be_read_is_one_line(tmp_path, ann, message, mode):
    path = write(tmp_path / 'ann.json', person(1), ann)
    with pytest.raises(
        InputError, match=f"ann.json'(:| has several) {message}.*correct or remove"
    ) as e:
        build(path, data_mode=mode)
    assert '\n' not in str(e.value)


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(images=[]), "no 'images'"),
        (dict(images=None), "no 'images'"),
        (dict(images=[3]), 'image number 0 is 3'),
        (dict(images=[{}]), 'image number 0 lacks id'),
        (dict(annotations={}), 'no person with keypoints'),
        (dict(annotations='x'), 'is not a list'),
        (dict(annotations=[None]), 'annotation number 0 is None'),
        (dict(categories=[7]), 'category number 0 is 7'),
        (dict(images=[dict(id=1, width=1, height=1)]), 'image 1 lacks file_name'),
        (dict(images=[dict(id=1, file_name='a', width=0, height=1)]), 'image 1 has width=0'),
        (dict(images=[dict(id=1, file_name='a', width='9', height=1)]), "image 1 has width='9'"),
        (
            dict(images=[dict(id=1, file_name='a', width=9, height=1)] * 2),
            'several images of id 1',
        ),
        (
            dict(images=[dict(id='1', file_name='a', width=9, height=1)]),
            "image '1' has id='1': expected an integer",
        ),
    ],
)
def test_no_coco_file(tmp_path, changes, message):
    path = write(tmp_path / 'ann.json', person(1), **changes)
    with pytest.raises(InputError, match=f"ann.json'.*{message}"):
        build(path)
    path.write_text('[]')
    with pytest.raises(InputError, match="no 'images'"):
        build(path)


def test_any_category_will_do_where_none_is_named(tmp_path):
    path = write(tmp_path / 'ann.json', person(1, category_id=9), categories=[])
    assert len(build(path)) == 1


def test_nothing_to_learn_from(tmp_path, lines):
    away = [900, 900, 2] * 17
    hidden = person(3)['keypoints']
    hidden[2::3] = [0] * 17
    path = write(
        tmp_path / 'ann.json', person(1), person(2, keypoints=away), person(3, keypoints=hidden)
    )
    assert len(build(path)) == 3
    assert [text for _, text in lines] == [
        '2 of 3 persons have no labelled keypoint in their box, so that there is nothing to learn '
        'from them'
    ]
    build(path, test_mode=True)
    assert len(lines) == 1
    path = write(tmp_path / 'ann.json', person(1, keypoints=away), person(2, keypoints=hidden))
    with pytest.raises(InputError, match='2 of 2 persons have no labelled keypoint'):
        build(path)


def box(**changes):
    """Return a good entry of a detector's file."""
    return {**dict(image_id=1, category_id=1, bbox=[1.0, 2.0, 3.0, 4.0], score=0.9), **changes}


@pytest.mark.parametrize(
    'entry, message',
    [
        (box(score=float('nan')), 'box number 1 has'),
        (box(score=None), 'box number 1 has'),
        (box(score='high'), 'box number 1 has'),
        (box(bbox=None), 'box number 1 has'),
        (box(bbox=[1, 2, float('nan'), 4]), 'box number 1 has'),
        (box(bbox=list('1234')), 'box number 1 has'),
        (7, 'box number 1 is 7'),
        (box(image_id=5), '1 of 2 boxes lie in images'),
    ],
)
def test_broken_detector_file(tmp_path, entry, message):
    path = tmp_path / 'boxes.json'
    path.write_text(json.dumps([box(), entry]))
    ann = write(tmp_path / 'ann.json')
    with pytest.raises(InputError, match=f"detector file '{path}'.*{message}"):
        build(ann, bbox_file=str(path), test_mode=True)


def test_detector_boxes_without_size_are_counted(tmp_path, lines):
    path = tmp_path / 'boxes.json'
    path.write_text(
        json.dumps([box(bbox=[1, 2, 0, 4]), box(), box(bbox=[1, 2, 3, -4]), box(category_id=3)])
    )
    ann = write(tmp_path / 'ann.json')
    assert [info['id'] for info in build(ann, bbox_file=str(path), test_mode=True)] == [0]
    assert lines == [('WARNING', 'left out 2 of 3 persons with a box without size')]
    with pytest.raises(InputError, match='a score of 0.95 or more'):
        build(ann, bbox_file=str(path), test_mode=True, filter_cfg=dict(bbox_score_thr=0.95))
