"""MPII's submission file: read back as the benchmark's toolkit reads it."""

import json
import logging

import numpy as np
import pytest
import tiny_run
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmpose.registry import METRICS, MODELS
from scipy.io import loadmat, savemat

from mspose_plugin.evaluation import MpiiSubmission
from mspose_plugin.utils.errors import InputError
from mspose_plugin.utils.matlab import cell_array, struct_array

pytestmark = pytest.mark.usefixtures('fresh_logger')

# image, its rectangles as (objpos or None, scored); the second is of the training set
RELEASE = [
    ('000000009.jpg', [((50.0, 60.0), True), (None, False), ((200.0, 61.0), True)]),
    ('000000001.jpg', [((10.0, 10.0), True)]),
    ('000000004.jpg', []),
    ('000000002.jpg', [((80.0, 90.0), False), ((30.0, 40.0), True)]),
]


def write_release(path, images=RELEASE, **changes):
    """Write MPII's structure; rectangles have fields that nobody here asks for, too."""
    empty = np.zeros((0, 0))
    release = dict(
        annolist=struct_array(
            [
                dict(
                    image=dict(name=name),
                    annorect=struct_array(
                        [
                            dict(
                                x1=1.0,
                                scale=empty if at is None else 1.5,
                                annopoints=empty,
                                objpos=empty if at is None else dict(x=at[0], y=at[1]),
                            )
                            for at, _ in rects
                        ]
                    )
                    if rects
                    else empty,
                    vididx=1.0,
                )
                for name, rects in images
            ]
        ),
        img_train=np.array([[name == '000000001.jpg' for name, _ in images]], np.uint8),
        single_person=cell_array(
            [
                np.array([[j] for j, (_, scored) in enumerate(rects, 1) if scored]).reshape(-1, 1)
                for _, rects in images
            ]
        ),
        version='12',
    )
    savemat(path, dict(RELEASE={**release, **changes}))
    return str(path)


def person(i, image, center):
    """Return what a model hands to the metric for one person."""
    keypoints = np.random.default_rng(i).uniform(0, 300, (1, 16, 2))
    return dict(
        id=i,
        raw_ann_info=dict(image=image, center=list(center), scale=1.5),
        pred_instances=dict(keypoints=keypoints),
    )


@pytest.fixture
def people():
    """Return the three scored persons of the test images, in an order of their own."""
    return [
        person(0, '000000002.jpg', (30.0, 40.0)),
        person(1, '000000009.jpg', (200.0, 61.0)),
        person(2, '000000009.jpg', (50.0, 60.0)),
    ]


def write(people, out, order=None, **options):
    """Write a submission in batches of two and return its ``pred``."""
    metric = METRICS.build(dict(type='MpiiSubmission', out_file=str(out), **options))
    people = people if order is None else [people[i] for i in order]
    for i in range(0, len(people), 2):
        metric.process(None, people[i : i + 2])
    assert metric.evaluate(len(people)) == {}
    return loadmat(out, squeeze_me=False, struct_as_record=False)['pred']


def flatten(pred, images):
    """Return [N, 16, 2] of the scored rectangles as the toolkit finds them, by position and id."""
    found = []
    for entry, (name, rects) in zip(pred.ravel(), images, strict=True):
        assert entry.image.item().name.item() == name
        for rect, (_, scored) in zip(entry.annorect.ravel(), rects, strict=True):
            if rect.objpos.size and scored:
                points = {
                    point.id.item(): (point.x.item(), point.y.item())
                    for point in rect.annopoints.item().point.ravel()
                }
                found.append([points[k] for k in range(16)])
    return np.array(found)


def test_round_trip_in_the_order_of_the_release(tmp_path, people):
    release = write_release(tmp_path / 'release.mat')
    pred = write(people, tmp_path / 'new' / 'pred.mat', release_file=release)
    test_images = [RELEASE[0], RELEASE[2], RELEASE[3]]
    assert pred.shape == (1, 3)
    wanted = [people[i]['pred_instances']['keypoints'][0] + 1 for i in (2, 1, 0)]
    np.testing.assert_array_equal(flatten(pred, test_images), wanted)  # to the last digit, 1-based
    first = pred[0, 0].annorect
    assert first.shape == (1, 3)
    assert [rect.annopoints.size for rect in first.ravel()] == [1, 0, 1]
    assert first[0, 0].annopoints.item().point.shape == (1, 16)
    assert first[0, 0].objpos.item().x.item() == 50 and first[0, 0].scale.item() == 1.5
    assert [p.name for p in (tmp_path / 'new').iterdir()] == ['pred.mat']  # nothing half-written


def test_processes_finish_in_any_order(tmp_path, people):
    a = write(people, tmp_path / 'a.mat')
    b = write(people, tmp_path / 'b.mat', order=[1, 2, 0])
    images = [
        ('000000002.jpg', [((30.0, 40.0), True)]),
        ('000000009.jpg', [((200.0, 61.0), True), ((50.0, 60.0), True)]),
    ]
    wanted = [p['pred_instances']['keypoints'][0] + 1 for p in people]
    for pred in (a, b):  # without a release: images and persons as in the annotation file
        np.testing.assert_array_equal(flatten(pred, images), wanted)


def test_what_the_benchmark_will_miss_is_said(tmp_path, people):
    lines, logger = [], MMLogger.get_current_instance()
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())
    logger.addHandler(handler)
    release = write_release(tmp_path / 'release.mat')
    write(people, tmp_path / 'pred.mat', release_file=release)
    assert not lines
    assert write(people[:1], tmp_path / 'pred.mat', release_file=release).shape == (1, 3)
    write(people, tmp_path / 'pred.mat')
    logger.removeHandler(handler)
    assert '2 persons that the benchmark scores have no prediction' in lines[0]
    assert len(lines) == 2 and 'set release_file (download' in lines[1]


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(image='000000001.jpg'), 'not among its persons'),  # an image of the training set
        (dict(image='000000077.jpg'), 'not among its persons'),
        (dict(center=[33.0, 40.0]), 'not among its persons'),
        (dict(image='000000009.jpg', center=[50.0, 60.0]), 'belongs to another person'),
    ],
)
def test_persons_of_another_set_are_refused(tmp_path, people, change, message):
    release = write_release(tmp_path / 'release.mat')
    people[1]['raw_ann_info'].update({'image': '000000009.jpg', 'center': [50.0, 60.0]})
    people[2]['raw_ann_info'].update({'image': '000000009.jpg', 'center': [200.0, 61.0]})
    people[2]['raw_ann_info'].update(change)
    with pytest.raises(InputError, match=f'person 2 of the annotation file .*{message}') as e:
        write(people, tmp_path / 'pred.mat', release_file=release)
    assert not (tmp_path / 'pred.mat').exists() and '\n' not in str(e.value)


def test_refused_before_anything_is_predicted(tmp_path):
    out = str(tmp_path / 'pred.mat')
    with pytest.raises(InputError, match="release.mat' not found; download"):
        MpiiSubmission(out, str(tmp_path / 'release.mat'))
    for changes in (dict(annolist=1.0), dict(single_person=cell_array([])), dict(img_train=1.0)):
        release = write_release(tmp_path / 'release.mat', **changes)
        with pytest.raises(InputError, match='release.mat: RELEASE'):
            MpiiSubmission(out, release)
    for name in ('pred.json', ''):
        with pytest.raises(InputError, match='ending in .mat'):
            MpiiSubmission(name)
    with pytest.raises(InputError, match='nobody'):
        MpiiSubmission(out).evaluate(0)


def test_other_data_are_refused(tmp_path, people):
    metric = MpiiSubmission(str(tmp_path / 'pred.mat'))
    people[0]['pred_instances']['keypoints'] = np.zeros((1, 17, 2))
    with pytest.raises(InputError, match='16 joints'):
        metric.process(None, people[:1])
    del people[1]['raw_ann_info']
    with pytest.raises(InputError, match='ZeroBasedMpiiDataset'):
        metric.process(None, people[1:])


def test_one_process_and_two_write_the_same(tmp_path):
    data = tiny_run.write_mpii(tmp_path / 'data', train=1, val=5)
    people = json.loads((data / 'annotations/mpii_val.json').read_text())
    test = [{key: p[key] for key in ('image', 'center', 'scale')} for p in people]
    (data / 'annotations/mpii_test.json').write_text(json.dumps(test))
    images = [(p['image'], [(p['center'], True)]) for p in reversed(people)]
    write_release(tmp_path / 'release.mat', images)
    config = tiny_run.write_config(
        tmp_path / 'test.py',
        data,
        """
test_dataloader = dict(
    **{**val_dataloader, 'dataset': dict(
        ann_file='annotations/mpii_test.json', pipeline=val_pipeline, test_mode=True, **mpii)})
test_evaluator = dict(type='MpiiSubmission', out_file='pred.mat', release_file='release.mat')
launcher = 'none'
""",
    )
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(config).model)
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'weights.pth')
    argv, found = [tiny_run.TEST, config, tmp_path / 'weights.pth'], []
    for count in (1, 2):
        done = (
            [tiny_run.run(argv, tmp_path)]
            if count == 1
            else tiny_run.run_ranks([*argv, '--launcher', 'pytorch'], tmp_path)
        )
        assert all(d.status == 0 for d in done), done[0].err
        pred = loadmat(tmp_path / 'pred.mat', struct_as_record=False)['pred']
        found.append(flatten(pred, images))
        (tmp_path / 'pred.mat').unlink()
    assert found[0].shape == (5, 16, 2) and len(np.unique(found[0])) > 20
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)
    (tmp_path / 'pckh.py').write_text(
        f"_base_ = '{config}'\ntest_evaluator = dict(_delete_=True, type='PCKhAUC')\n"
    )
    line = tiny_run.run([tiny_run.TEST, tmp_path / 'pckh.py', argv[2]], tmp_path).error
    assert 'use MpiiSubmission for it' in line
