"""MLPE's configs, shrunk, from synthetic COCO data to results; each kind of bad input."""

import json
import shutil

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.apis import inference_topdown, init_model
from mmpose.registry import DATASETS
from tiny_run import REPOSITORY, TEST, TRAIN, run
from xtcocotools.coco import COCO

from mspose_plugin.cli.configs import check_data
from mspose_plugin.synthetic import Recipe, write_dataset
from mspose_plugin.utils.errors import InputError

ANNOTATIONS = 'data/coco/annotations/person_keypoints_{}2017.json'
RELEASED, ON_DETECTIONS = 'mlpe_resnest50_256x192', 'mlpe_resnest50_256x192_detections'
DETECTIONS = 'data/coco/person_detection_results/COCO_val2017_detections_AP_H_56_person.json'
SHRUNK = '''
_base_ = '{repository}/configs/mlpe/{name}.py'

codec = dict(input_size={input_size}, heatmap_size={heatmap_size}, sigma=1.)
model = dict(
    backbone=dict(depth=50, stem_channels=8, base_channels=8, init_cfg=None),
    neck=dict(in_channels=(32, 64, 128, 256), channels=8),
    head=dict(channels=8, sigmas=(1.0, 0.9, 0.8, 0.7), decoder=codec))
for _split in ('train', 'val', 'test'):
    _base_[f'{{_split}}_dataloader'].update(num_workers=0, persistent_workers=False)
    for _step in _base_[f'{{_split}}_dataloader'].dataset.pipeline:
        if _step.type == 'BorderedTopdownAffine':
            _step.input_size = codec['input_size']
        if _step.type == 'GenerateTarget':
            _step.encoder.update(codec)
train_dataloader = dict(batch_size=4)
train_cfg = dict(max_epochs=1)
default_hooks = dict(logger=dict(interval=1))
'''


def write_config(path, name, input_size=(48, 64), heatmap_size=(12, 16), more=''):
    """Write one of ``configs/mlpe`` with a sixteenth of the pixels and of the channels."""
    path.write_text(
        SHRUNK.format(
            repository=REPOSITORY, name=name, input_size=input_size, heatmap_size=heatmap_size
        )
        + more
    )
    return path


def edited(source, path, change):
    """Write a JSON file's content with changes made by ``change(content)``."""
    content = json.loads(source.read_text())
    change(content)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


@pytest.fixture(scope='module')
def base(tmp_path_factory):
    """Return a folder with data, one training image of it without people, and a run of an epoch."""
    folder = tmp_path_factory.mktemp('mlpe')
    write_dataset(Recipe(layout='coco', train=5, val=3, seed=1), folder / 'data/coco')
    train = folder / ANNOTATIONS.format('train')
    edited(
        train,
        train,
        lambda c: c.update(
            annotations=[a for a in c['annotations'] if a['image_id'] != c['images'][0]['id']]
        ),
    )
    done = run(
        [
            TRAIN,
            write_config(folder / 'tiny.py', RELEASED),
            '--work-dir',
            folder / 'run',
        ],
        folder,
    )
    assert done.status == 0, done.err
    (folder / 'train.txt').write_text(done.out)
    return folder


@pytest.fixture()
def train(base, tmp_path):
    """Return a function that trains a config of this module with ``--cfg-options``."""
    return lambda config, *options: run(
        [
            TRAIN,
            config,
            '--work-dir',
            tmp_path / 'run',
            '--cfg-options',
            'train_dataloader.batch_size=4',
            *options,
        ],
        base,
    )


@pytest.fixture()
def test(base, tmp_path):
    """Return a function that tests a config by name, with ``--cfg-options``; gives the metrics."""

    def test(name, *options):
        done = run(
            [
                TEST,
                write_config(tmp_path / f'{name}.py', name),
                base / 'run/epoch_1.pth',
                '--work-dir',
                tmp_path / 'run',
                '--out',
                tmp_path / 'metrics.json',
                '--cfg-options',
                'test_dataloader.batch_size=8',
                *options,
            ],
            base,
        )
        assert done.status == 0, done.err
        return done.out, json.loads((tmp_path / 'metrics.json').read_text())

    return test


def persons(path):
    """Return the annotations that MMPose takes: those with keypoints."""
    return [a for a in json.loads(path.read_text())['annotations'] if a['num_keypoints']]


# ---------------------------------------------------------------- what works


def test_training_reports_losses_and_ap(base):
    scalars = [
        json.loads(line)
        for line in next((base / 'run').glob('*/vis_data/scalars.json')).read_text().splitlines()
    ]
    first = scalars[0]
    names = ['loss_c5', 'loss_c4', 'loss_c3', 'loss_c2', 'loss_fine']
    assert [name for name in first if name.startswith('loss_')] == names
    assert first['loss'] == pytest.approx(sum(first[name] for name in names))
    assert 0 <= scalars[-1]['coco/AP'] <= 1
    path = ANNOTATIONS.format('val')
    assert (
        f'val_dataloader: {len(persons(base / path))} boxes of the ground truth, {path}'
        in (base / 'train.txt').read_text()
    )


def test_images_without_people_are_passed_over(base):
    path = base / ANNOTATIONS.format('train')
    dataset = Config.fromfile(base / 'tiny.py').train_dataloader.dataset
    dataset.update(data_root=str(base / 'data/coco'), pipeline=[])
    samples = list(DATASETS.build(dataset))
    assert [s['id'] for s in samples] == [a['id'] for a in persons(path)]
    assert min(json.loads(path.read_text())['images'], key=lambda i: i['id'])['id'] not in {
        s['img_id'] for s in samples
    }


def test_resume(base, train, tmp_path):
    shutil.copytree(base / 'run', tmp_path / 'run')
    done = run(
        [
            TRAIN,
            base / 'tiny.py',
            '--work-dir',
            tmp_path / 'run',
            '--resume',
            '--cfg-options',
            'train_cfg.max_epochs=2',
        ],
        base,
    )
    steps = len(persons(base / ANNOTATIONS.format('train'))) // 4
    assert done.status == 0 and f'resumed epoch: 1, iter: {steps}' in done.out, done.err
    assert f'Epoch(train) [2][{steps}/{steps}]' in done.out and 'Epoch(train) [1]' not in done.out
    assert (tmp_path / 'run/epoch_2.pth').exists()


def test_structure_aware_loss_and_masking(base, train, tmp_path):
    done = train(write_config(tmp_path / 'tiny.py', 'mlpe_resnest50_256x192_structure-aware'))
    assert done.status == 0 and 'coco/AP' in done.out, done.err
    cfg = Config.fromfile(tmp_path / 'run/tiny.py')
    assert cfg.model.head.loss.type == 'StructureAwareLoss'
    steps = [step.type for step in cfg.train_dataloader.dataset.pipeline]
    at = steps.index('KeypointMasking')
    assert steps[at - 1] == 'BorderedTopdownAffine' and 'GenerateTarget' in steps[at:]


def test_our_variant(base, tmp_path):
    """Its own weights: the released network has no lateral skips."""
    config = write_config(tmp_path / 'tiny.py', 'mlpe_resnest50_256x192_skips')
    done = run([TRAIN, config, '--work-dir', tmp_path / 'run'], base)
    assert done.status == 0 and 'coco/AP' in done.out, done.err
    weights, released = (
        torch.load(path, weights_only=False)['state_dict']
        for path in (tmp_path / 'run/epoch_1.pth', base / 'run/epoch_1.pth')
    )
    idle = {
        name
        for name in weights
        if name.startswith('neck.laterals.') and not name.startswith('neck.laterals.0.')
    }
    assert idle and weights.keys() - released.keys() == idle


def test_the_rate_follows_the_batch_size(base):
    """auto_scale_lr: 4 persons in place of 32."""
    scalars = next((base / 'run').glob('*/vis_data/scalars.json')).read_text().splitlines()
    assert json.loads(scalars[0])['lr'] == pytest.approx(5e-4 * 4 / 32)


def test_person_scores(base, test, tmp_path):
    """The score in the result file is the box's times the mean of (keypoint's + 0.5)."""
    test(ON_DETECTIONS, f'test_evaluator.outfile_prefix={tmp_path}/results')
    results = json.loads((tmp_path / 'results.keypoints.json').read_text())
    boxes = json.loads((base / DETECTIONS).read_text())
    assert len(results) == len(boxes)  # no OKS-NMS
    means = [np.reshape(r['keypoints'], (17, 3))[:, 2].mean() + 0.5 for r in results]
    ratio = np.array([r['score'] for r in results]) / means
    assert np.sort(ratio) == pytest.approx(np.sort([b['score'] for b in boxes]), abs=1e-4)


def test_multi_scale_and_conditional_testing_see_the_border(base, test):
    """They crop again and compare with the pipeline's crop, which a black border would fail."""
    options = ('model.test_cfg.multi_scale=True', 'model.test_cfg.conditional.thresholds=1.')
    _, metrics = test(RELEASED, *options)
    assert 'coco/AP' in metrics


def test_boxes_of_a_detector(base, test):
    log, metrics = test(ON_DETECTIONS)
    assert 0 <= metrics['coco/AP'] <= 1
    count = len(json.loads((base / DETECTIONS).read_text()))
    assert f'test_dataloader: {count} boxes of {DETECTIONS}' in log
    assert count != len(persons(base / ANNOTATIONS.format('val')))


def test_image_without_a_box_above_the_threshold(base, test, tmp_path):
    """Its people count as missed; boxes of the others are tested."""
    first = json.loads((base / ANNOTATIONS.format('val')).read_text())['images'][0]['id']

    def lower(boxes):
        for box in boxes:
            box['score'] = 0.1 if box['image_id'] == first else 0.9

    path = edited(base / DETECTIONS, tmp_path / 'boxes.json', lower)
    above = sum(box['score'] > 0.5 for box in json.loads(path.read_text()))
    log, metrics = test(
        ON_DETECTIONS,
        f'test_dataloader.dataset.bbox_file={path}',
        'test_dataloader.dataset.filter_cfg.bbox_score_thr=0.5',
        f'test_evaluator.outfile_prefix={tmp_path}/results',
    )
    assert f'test_dataloader: {above} boxes of {path}' in log and 'coco/AP' in metrics
    results = json.loads((tmp_path / 'results.keypoints.json').read_text())
    assert results and first not in {r['image_id'] for r in results}


def test_testdev_writes_results_for_the_server(base, test):
    info = base / 'data/coco/annotations/image_info_test-dev2017.json'
    log, metrics = test('mlpe_resnest101_384x288_testdev')
    assert metrics == {} and 'AP_H_609_person.json' in log
    path = base / 'work_dirs/mlpe_testdev.keypoints.json'
    results = json.loads(path.read_text())
    boxes = json.loads((base / DETECTIONS).read_text())
    assert 0 < len(results) <= len(boxes)
    assert {r['image_id'] for r in results} == {b['image_id'] for b in boxes}
    for result in results:
        assert result['category_id'] == 1 and isinstance(result['score'], float)
        assert len(result['keypoints']) == 51 and np.isfinite(result['keypoints']).all()
    assert len(COCO(str(info)).loadRes(str(path)).anns) == len(results)


def test_inference_on_an_image(base):
    model = init_model(str(base / 'tiny.py'), str(base / 'run/epoch_1.pth'), device='cpu')
    image = sorted((base / 'data/coco/val2017').iterdir())[0]
    (whole,) = inference_topdown(model, str(image))
    assert whole.pred_instances.keypoints.shape == (1, 17, 2)
    boxes = np.array([[10, 10, 90, 150], [30, 20, 120, 170]], np.float32)
    both = inference_topdown(model, str(image), boxes)
    assert [sample.pred_instances.bboxes.tolist() for sample in both] == boxes[:, None].tolist()
    (alone,) = inference_topdown(model, str(image), boxes[1:])
    np.testing.assert_allclose(
        both[1].pred_instances.keypoints, alone.pred_instances.keypoints, atol=1e-3
    )


def test_input_size_that_is_no_multiple_of_32(base, train, tmp_path):
    config = write_config(tmp_path / 'tiny.py', RELEASED, (50, 70), (13, 18))
    done = train(config)
    assert done.status == 0 and 'coco/AP' in done.out, done.err
    model = init_model(str(config), str(tmp_path / 'run/epoch_1.pth'), device='cpu')
    levels = model.extract_feat(torch.zeros(1, 3, 70, 50))
    assert [tuple(m.shape[2:]) for m in levels] == [(3, 2), (5, 4), (9, 7), (18, 13)]
    assert all(m.shape == (1, 17, 18, 13) for m in model.head(levels))


# ---------------------------------------------------------------- what is refused, in one line


def test_wrong_heatmap_size(train, tmp_path):
    config = write_config(tmp_path / 'tiny.py', RELEASED, (50, 70), (12, 17))
    assert train(config).error == (
        'error: codec.heatmap_size=(12, 17): expected (13, 18), as the network predicts'
    )


def test_more_hard_keypoints_than_keypoints(base, train):
    assert train(base / 'tiny.py', 'model.head.fine_loss.topk=18').error == (
        'error: HardKeypointMSELoss: topk=18: expected at most 17, the number of keypoints'
    )


def test_fewer_people_than_a_batch(base, train):
    assert train(base / 'tiny.py', 'train_dataloader.batch_size=1000').error.endswith(
        'fewer than train_dataloader.batch_size, and drop_last is set; lower batch_size'
    )


def test_occluded_keypoints_can_be_left_out(train, tmp_path):
    options = ('model.head.occluded_in_levels=mask', 'model.head.occluded_in_fine=False')
    config = write_config(tmp_path / 'tiny.py', RELEASED)
    done = train(config, *options)
    assert done.status == 0, done.err
    unmarked = write_config(
        tmp_path / 'unmarked.py',
        RELEASED,
        more="""
_pipeline = _base_.train_dataloader.dataset.pipeline
_pipeline.remove(next(s for s in _pipeline if s.type == 'MarkOccluded'))
""",
    )
    assert "dict(type='MarkOccluded')" in train(unmarked, *options).error


def test_training_set_without_people(base, train, tmp_path):
    def unlabel(content):
        for person in content['annotations']:
            person.update(keypoints=[0] * 51, num_keypoints=0)

    source = base / ANNOTATIONS.format('train')
    for change in (unlabel, lambda c: c['annotations'].clear(), lambda c: c.pop('annotations')):
        path = edited(source, tmp_path / 'empty.json', change)
        line = train(base / 'tiny.py', f'train_dataloader.dataset.ann_file={path}').error
        assert f"annotation file '{path}' has no person with keypoints" in line


def test_detector_file_of_other_images_ends_the_tool(base, tmp_path):
    def shift(boxes):
        for box in boxes:
            box['image_id'] += 1000

    path = edited(base / DETECTIONS, tmp_path / 'boxes.json', shift)
    count = len(json.loads(path.read_text()))
    done = run(
        [
            TEST,
            write_config(tmp_path / 'tiny.py', ON_DETECTIONS),
            base / 'run/epoch_1.pth',
            '--cfg-options',
            f'test_dataloader.dataset.bbox_file={path}',
        ],
        base,
    )
    assert f"detector file '{path}': {count} of {count} boxes lie in images that" in done.error
    assert 'take the detector file that was made for these images' in done.error


@pytest.mark.parametrize(
    'content, message',
    [
        (
            None,
            r'does not exist; .*a detector\'s boxes .* into data/coco/person_detection_results/',
        ),
        ('', 'is empty'),
        ('[]', r'has no box of a person \(category_id 1\) with a score of 0.0 or more'),
        (
            '[{"image_id": 1000001, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 1}]',
            'has no box',
        ),
        ('[{"image_id"', 'is not JSON'),
        ('{"boxes": []}', 'is not a list of entries with image_id, category_id, bbox'),
        (
            '[{"image_id": 1000001, "category_id": 1, "bbox": [1, 2], "score": 1}]',
            r'box number 0 has bbox=\[1, 2\]: expected 4 finite numbers',
        ),
        (
            '[{"image_id": 1000001, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1}, '
            '{"image_id": 5,'
            ' "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1}]',
            r'1 of 2 boxes lie in images .* \(first: image_id 5\)',
        ),
    ],
    ids=[
        'missing',
        'no bytes',
        'no boxes',
        'no persons',
        'cut',
        'no list',
        'no box',
        'one foreign',
    ],
)
def test_detector_file(base, tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(base)
    path = tmp_path / 'boxes.json'
    if content is not None:
        path.write_text(content)
    cfg = Config.fromfile(base / 'tiny.py')
    cfg.test_dataloader.dataset.bbox_file = str(path)
    with pytest.raises(InputError, match=message) as e:
        check_data(cfg, 'test')
        DATASETS.build(cfg.test_dataloader.dataset)
    assert str(path) in str(e.value) and '\n' not in str(e.value)
