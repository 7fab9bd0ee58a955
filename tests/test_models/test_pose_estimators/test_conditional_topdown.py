"""Conditional and multi-scale testing: geometry, cost, borders, the inference API."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from dots import BOX, POINTS, SIZE, build, draw, write
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmpose.apis import inference_topdown
from mmpose.apis.inferencers import Pose2DInferencer
from mmpose.models import HeatmapHead
from mmpose.registry import METRICS, MODELS, TRANSFORMS

from mspose_plugin.models.pose_estimators.conditional_options import (
    PERTURBATIONS,
    ConditionalOptions,
)
from mspose_plugin.models.pose_estimators.fusion import below, retry_and_fuse
from mspose_plugin.models.pose_estimators.multi_scale import SCALES
from mspose_plugin.utils.errors import InputError

FLIP = dict(flip_test=True, flip_mode='heatmap')


def run(model, image, *boxes):
    """Return predicted keypoints, scores and trials of each box."""
    results = inference_topdown(model, image, np.array(boxes or [BOX]))
    preds = [r.pred_instances for r in results]
    return (
        np.concatenate([p.keypoints for p in preds]),
        np.concatenate([p.keypoint_scores for p in preds]),
        [int(p.num_trials[0]) if 'num_trials' in p else None for p in preds],
    )


def spy(model):
    """Collect the samples of every trial."""
    trials, estimate = [], model._estimate

    def wrapper(inputs, samples, crops, who, perturbations):
        results = estimate(inputs, samples, crops, who, perturbations)
        if inputs is not crops.inputs:
            trials.extend(results)
        return results

    model._estimate = wrapper
    return trials


@pytest.mark.parametrize(
    'test_cfg', [{}, FLIP, dict(output_heatmaps=True), dict(conditional=None, multi_scale=False)]
)
def test_without_options_it_is_its_parent(test_cfg):
    image = draw()
    ours, theirs = build(test_cfg), build(test_cfg, kind='TopdownPoseEstimator', keep=False)
    (a,) = inference_topdown(ours, image, BOX[None])
    (b,) = inference_topdown(theirs, image, BOX[None])
    assert np.array_equal(a.pred_instances.keypoints, b.pred_instances.keypoints)
    assert set(a.pred_instances.keys()) == set(b.pred_instances.keys())
    # the reference to the image is gone
    assert set(a.gt_instances.keys()) == set(b.gt_instances.keys())
    assert ours.backbone.batches == theirs.backbone.batches


@pytest.mark.parametrize('codec', ['msra', 'udp'])
@pytest.mark.parametrize('input_size', [(96, 96), (96, 128)])
def test_every_trial_finds_the_same_place(codec, input_size):
    perturbations = [
        *PERTURBATIONS,
        (0, 0, 0.85),
        (0, 0, 1.15),
        (0.11, -0.07, 0.9),
        (-0.1, 0.1, 1.3),
    ]
    model = build(
        dict(conditional=dict(thresholds=2.0, perturbations=perturbations)), codec, input_size
    )
    trials = spy(model)
    keypoints, _, count = run(model, draw())
    assert len(trials) == len(perturbations) == count[0]
    for trial in trials:
        found = trial.pred_instances.keypoints[0]
        assert np.abs(found - POINTS).max() < 0.4
    assert np.abs(keypoints[0] - POINTS).max() < 0.3
    centers = np.array([t.metainfo['input_center'] for t in trials])
    scales = np.array([t.metainfo['input_scale'] for t in trials])
    want = np.array(perturbations)
    base = np.array([100, 120]) * 1.25
    base = np.maximum(
        base, base[::-1] * [input_size[0] / input_size[1], input_size[1] / input_size[0]]
    )
    assert np.allclose(centers, [170, 140] + want[:, :2] * base, atol=1e-3)
    assert np.allclose(scales, base * want[:, 2:], rtol=1e-5)


def test_trials_see_pixels_that_the_first_crop_did_not():
    points = [POINTS[0], POINTS[1], (265.0, 140.0)]  # the third is right of the padded box
    conditional = dict(thresholds=0.5, perturbations=[(0.2, 0, 1), (0, 0, 1.5)])
    image = draw(points)
    first, scores, _ = run(build(), image)
    assert scores[0, 2] < 0.1 and abs(first[0, 2, 0] - 265) > 10
    keypoints, scores, trials = run(build(dict(conditional=conditional)), image)
    assert np.abs(keypoints[0, 2] - points[2]).max() < 0.5 and scores[0, 2] > 0.9
    assert np.array_equal(keypoints[0, :2], first[0, :2]), 'confident keypoints stay as they are'
    assert trials == [2]


@pytest.mark.parametrize('flip', [False, True])
def test_only_persons_below_threshold_cost_passes(flip):
    """Three persons in one image; the second has a faint third keypoint."""
    shifts = np.array([[0, 0], [0, 100], [120, 0]])
    image = draw()
    for shift, peak in zip(shifts[1:], (0.4, 0.9)):
        image = np.maximum(image, draw(POINTS + shift, (1, 1, peak)))
    boxes = [BOX + np.tile(s, 2) for s in shifts]
    test_cfg = dict(
        conditional=dict(thresholds=[0.8, 0.8, 0.7], batch_size=4), **(FLIP if flip else {})
    )
    model = build(test_cfg)
    keypoints, _, trials = run(model, image, *boxes)
    times = 2 if flip else 1
    assert trials == [0, 4, 0]
    assert model.backbone.count == (3 + 4) * times
    assert max(model.backbone.batches) <= 4
    plain, _, _ = run(build(FLIP if flip else {}), image, *boxes)
    assert np.array_equal(keypoints[[0, 2]], plain[[0, 2]])
    results = inference_topdown(model, image, np.array(boxes))
    passes = [int(r.pred_instances.num_passes[0]) for r in results]
    assert passes == [times, 5 * times, times]

    metric = METRICS.build(dict(type='TestingCost'))
    metric.process(None, [r.to_dict() for r in results])
    assert metric.evaluate(3) == pytest.approx(
        {'cost/trials': 4 / 3, 'cost/passes': 7 / 3 * times, 'cost/retried': 100 / 3}
    )


@pytest.mark.parametrize(
    'options,expected',
    [
        (dict(max_trials=3), 3),
        (dict(max_trials=100), 4),
        (dict(max_trials=1), 1),
        (dict(trials_per_round=3), 4),
        (dict(trials_per_round=None), 4),
        (dict(batch_size=1), 4),
        (dict(batch_size=1000), 4),
    ],
)
def test_budget(options, expected):
    model = build(dict(conditional=dict(thresholds=2.0, **options)))
    _, _, trials = run(model, draw(), BOX, BOX + 5)
    assert trials == [expected] * 2 and model.backbone.count == 2 * (1 + expected)


def test_a_person_is_done_once_every_keypoint_reached_its_threshold():
    points = [POINTS[0], POINTS[1], (265.0, 140.0)]
    perturbations = [(-0.2, 0, 1), (0.2, 0, 1), (0, 0, 1.5), (0, 0, 1.6)]
    for step, expected in ((1, 2), (2, 2), (3, 3), (4, 4)):
        model = build(
            dict(
                conditional=dict(thresholds=0.5, perturbations=perturbations, trials_per_round=step)
            )
        )
        assert run(model, draw(points))[2] == [expected]


def test_threshold_zero_never_asks():
    model = build(dict(conditional=dict(thresholds=[0.5, 0.5, 0])))
    assert run(model, draw(peaks=(1, 1, 0.1)))[2] == [0]
    scores = np.array([[-0.2, -0.2], [np.nan, np.nan]])  # heatmaps may be negative everywhere
    assert below(scores, np.array([0, 0.1])).tolist() == [[False, True]] * 2


@pytest.mark.parametrize('step', [None, 1, 2])
def test_trials_are_recorded_and_replayed(step):
    """What a run with every trial recorded says is what testing without recording does."""
    points = [POINTS[0], POINTS[1], (265.0, 140.0)]  # the third is right of the padded box
    options = dict(
        thresholds=[0.5, 0.5, 0.7],
        perturbations=[(-0.2, 0, 1), (9, 0, 1), (0.2, 0, 1), (0, 0, 1.5)],
        trials_per_round=step,
    )
    record = build(
        dict(conditional=dict(options, thresholds=9.0, trials_per_round=None), output_trials=True)
    )
    (result,) = inference_topdown(record, draw(points), BOX[None])
    keypoints = np.asarray(result.pred_instances.trial_keypoints)
    scores = np.asarray(result.pred_instances.trial_scores)
    assert keypoints.shape == (1, 5, 3, 2) and scores.shape == (1, 5, 3)
    assert np.isnan(keypoints[0, 2]).all() and np.isfinite(keypoints[0, [0, 1, 3, 4]]).all()
    assert np.allclose(keypoints[0, 4], points, atol=0.5)
    first, left, *_, larger = np.asarray(result.pred_instances.trial_crops)[0]
    side = first[2] - first[0]
    assert np.allclose(left, first - [0.2 * side, 0, 0.2 * side, 0], atol=1e-3)
    assert np.allclose(larger, first + np.array([-1, -1, 1, 1]) * side / 4, atol=1e-3)
    counts = np.asarray(result.pred_instances.trial_counts)
    assert counts.shape == scores.shape and counts.any(axis=1).all() and not counts[0, 2].any()
    outcome = retry_and_fuse(
        keypoints[:, 0],
        scores[:, 0],
        np.array([150.0]),
        np.isfinite(keypoints[:, 1:, 0, 0]),
        ConditionalOptions(**options),
        lambda who, which: (keypoints[who, 1 + which], scores[who, 1 + which]),
    )
    tested, confidence, trials = run(build(dict(conditional=options)), draw(points))
    assert np.array_equal(outcome.keypoints, tested) and np.array_equal(outcome.scores, confidence)
    assert outcome.trials.tolist() == trials == [{None: 3, 1: 2, 2: 3}[step]]


def reference_heatmaps(model, image, scales, flip):
    """Average the scales' heatmaps, warped by OpenCV, one image and one scale at a time."""
    udp = model._use_udp
    total = cover = 0
    for scale in scales:
        plain = build(
            dict(output_heatmaps=True, **(FLIP if flip else {})),
            'udp' if udp else 'msra',
            kind='TopdownPoseEstimator',
            keep=False,
        )
        pipeline = Compose(plain.cfg.test_dataloader.dataset.pipeline[:1])
        rest = Compose(plain.cfg.test_dataloader.dataset.pipeline[2:])
        data = pipeline(dict(img=image, flip_indices=[0, 1, 2]))
        data.update(
            bbox_center=np.array([[170.0, 140.0]]),
            bbox=BOX[None],
            bbox_score=np.ones(1),
            bbox_scale=np.array([[150.0, 150.0]]) * scale,
        )
        with torch.no_grad():
            (result,) = plain.test_step(pseudo_collate([rest(data)]))
        maps = np.asarray(result.pred_fields.heatmaps)
        size = maps.shape[-1]
        center = (size - 1) / 2 if udp else size / 2
        back = np.array([[scale, 0, center * (1 - scale)], [0, scale, center * (1 - scale)]])

        *warped, seen = (
            cv2.warpAffine(m, back, (size, size), flags=cv2.INTER_LINEAR)
            for m in [*maps, np.ones((size, size), np.float32)]
        )
        total, cover = total + np.stack(warped), cover + seen
    return total / np.maximum(cover, 1e-6)


@pytest.mark.parametrize('codec', ['msra', 'udp'])
@pytest.mark.parametrize('flip', [False, True])
@pytest.mark.parametrize('scales', [None, (0.7, 1.4)])
def test_multi_scale_equals_the_slow_way(codec, flip, scales):
    image = draw()
    cfg = dict(scales=scales) if scales else True
    model = build(dict(multi_scale=cfg, output_heatmaps=True, **(FLIP if flip else {})), codec)
    (result,) = inference_topdown(model, image, BOX[None])
    want = reference_heatmaps(model, image, scales or SCALES, flip)
    got = np.asarray(result.pred_fields.heatmaps)
    assert np.abs(got - want).max() < 0.02 and want.max() > 0.8  # OpenCV's bilinear steps are 1/32
    keypoints, _ = model.head.decoder.decode(want)
    scale, center = np.array([150.0, 150.0]), np.array([170.0, 140.0])
    keypoints = keypoints / 96 * scale + center - scale / 2
    assert np.abs(result.pred_instances.keypoints - keypoints).max() < 0.3
    if codec == 'udp' or not flip:  # without UDP the mirror image is off by most of a pixel
        assert np.abs(result.pred_instances.keypoints[0] - POINTS).max() < 0.5
    passes = len(scales or SCALES) * (1 + flip)
    assert model.backbone.count == passes == result.pred_instances.num_passes[0]


def test_multi_scale_of_one_is_the_parent():
    a, b = (run(build(dict(multi_scale=dict(scales=[s]))), draw())[0] for s in (1.0, 1.000001))
    assert np.allclose(a, b, atol=1e-2)


def test_conditional_trials_are_multi_scale_too():
    test_cfg = dict(
        conditional=dict(thresholds=[0.1, 0.1, 2.0], max_trials=2),
        multi_scale=dict(scales=(0.9, 1.0, 1.1)),
        **FLIP,
    )
    model = build(test_cfg, 'udp')
    keypoints, _, trials = run(model, draw(), BOX, BOX + 3)
    assert trials == [2, 2] and model.backbone.count == 2 * 3 * (1 + 2) * 2
    assert np.abs(keypoints - POINTS).max() < 0.5


@pytest.mark.parametrize(
    'test_cfg', [dict(conditional=dict(thresholds=2.0)), dict(multi_scale=True)]
)
def test_persons_at_the_border_and_outside(test_cfg):
    """Boxes that reach out, lie outside, have no size; other persons are not disturbed."""
    boxes = [
        BOX,
        (-60, -50, 60, 60),
        (SIZE[0] - 40, 250, SIZE[0] + 80, 340),
        (-500, -500, -400, -400),
        (50, 50, 50, 50),
    ]
    model = build(test_cfg)
    keypoints, scores, trials = run(model, draw(), *boxes)
    assert np.isfinite(scores).all()
    assert np.abs(keypoints[0] - POINTS).max() < 0.5
    if 'conditional' in test_cfg:
        assert trials == [4, 4, 4, 0, 0]


def test_perturbations_that_leave_the_image_are_passed_over():
    model = build(
        dict(
            conditional=dict(
                thresholds=2.0, perturbations=[(9, 0, 1), (0, -9, 1), (0.1, 0, 1), (0, 9, 0.5)]
            )
        )
    )
    keypoints, _, trials = run(model, draw())
    assert trials == [1] and model.backbone.count == 2
    assert np.abs(keypoints[0] - POINTS).max() < 0.5


def test_a_person_outside_is_found_by_a_perturbation():
    model = build(dict(conditional=dict(thresholds=0.5, perturbations=[(2.0, 0, 1)])))
    keypoints, _, trials = run(model, draw(), BOX - [300, 0, 300, 0])
    assert trials == [1] and np.abs(keypoints[0] - POINTS).max() < 0.4


@pytest.mark.parametrize(
    'test_cfg', [dict(conditional=dict(thresholds=2.0), **FLIP), dict(multi_scale=True)]
)
def test_files_and_arrays_agree(tmp_path, test_cfg):
    path = write(tmp_path / 'a.png')
    from_file = run(build(test_cfg), path, BOX, BOX + 9)
    without_step = run(build(test_cfg, keep=False), path, BOX, BOX + 9)
    from_array = run(build(test_cfg), draw(), BOX, BOX + 9)
    from_float = run(build(test_cfg), draw().astype(np.float32), BOX, BOX + 9)
    for other in (without_step, from_array):
        assert np.array_equal(from_file[0], other[0]) and from_file[2] == other[2]
    assert np.allclose(from_file[0], from_float[0], atol=0.1)


def test_grey_array_and_whole_image():
    model = build(dict(conditional=dict(thresholds=2.0)))
    grey = draw(peaks=(1, 0, 0))[..., 0]
    (result,) = inference_topdown(model, grey)
    assert np.abs(result.pred_instances.keypoints[0] - POINTS[0]).max() < 2
    assert result.pred_instances.num_trials[0] == 4


def test_an_image_is_read_once_for_a_batch(tmp_path):
    path = write(tmp_path / 'a.png')
    model = build(dict(conditional=dict(thresholds=2.0)))
    read, calls = model._loader.read, []
    model._loader.read = lambda p: calls.append(p) or read(p)
    run(model, path, BOX, BOX + 1, BOX + 2)
    assert calls == [path]
    model = build(dict(conditional=dict(thresholds=0.1)))
    model._loader.read = lambda p: pytest.fail('no person needs another look')
    run(model, path)


def test_array_without_the_step_is_explained():
    model = build(dict(conditional=dict(thresholds=2.0)), keep=False)
    with pytest.raises(InputError, match='KeepOriginalImage.*first in the test pipeline'):
        run(model, draw())


@pytest.mark.parametrize('change', ['other', 'size', 'rotated', 'gone'])
def test_another_image_than_the_network_saw_is_noticed(tmp_path, change):
    path = write(tmp_path / 'a.png')
    model = build(dict(conditional=dict(thresholds=2.0)))
    pipeline = Compose(model.cfg.test_dataloader.dataset.pipeline)
    info = dict(img_path=path, bbox=BOX[None], bbox_score=np.ones(1), flip_indices=[0, 1, 2])
    if change == 'rotated':
        info['bbox_rotation'] = np.array([30.0])
    batch = pseudo_collate([pipeline(info)])
    if change == 'other':
        write(path, points=POINTS[::-1] + 8)
    elif change == 'size':
        write(path, points=POINTS / 2, size=(200, 150))
    elif change == 'gone':
        Path(path).unlink()
    expected = 'cannot read image' if change == 'gone' else 'does not give what the network'
    with torch.no_grad(), pytest.raises(InputError, match=expected) as e:
        model.test_step(batch)
    assert path in str(e.value) and '\n' not in str(e.value)


def test_keep_original_image_costs_nothing():
    step = TRANSFORMS.build(dict(type='KeepOriginalImage'))
    info = dict(img_path='a.png')
    assert step(dict(info)) == info, 'a file needs nothing but its path'
    image = draw()
    model = build(kind='TopdownPoseEstimator')
    packed = Compose(model.cfg.test_dataloader.dataset.pipeline)(
        dict(img=image, bbox=BOX[None], bbox_score=np.ones(1), flip_indices=[0, 1, 2])
    )
    assert packed['data_samples'].gt_instances.original_image[0] is image, 'a reference, no copy'
    assert 'bboxes' in packed['data_samples'].gt_instances
    assert repr(step) == 'KeepOriginalImage()'
    with pytest.raises(InputError, match='first step'):
        step(dict(img=image, img_shape=image.shape[:2]))


def test_pose2d_inferencer_takes_arrays_and_files(tmp_path, repository, monkeypatch):
    """MMPose's inferencer makes a path up for arrays; a file of that name must not be read."""
    monkeypatch.chdir(tmp_path)
    write('000000.jpg', points=POINTS[::-1] + 9)
    cfg = Config.fromfile(str(repository / 'configs/msspose_hourglass8_mpii.py'))
    cfg.model.type = 'ConditionalTopdownPoseEstimator'
    cfg.model.backbone.update(num_stacks=1, channels=16)
    cfg.model.head = dict(type='MSSHead', decoder=cfg.model.head.decoder)
    cfg.model.test_cfg.conditional = dict(thresholds=2.0, max_trials=2)
    cfg.data_mode, cfg.dataset_type = 'topdown', 'ZeroBasedMpiiDataset'
    pipeline = cfg.test_dataloader.dataset.pipeline
    steps = [step for step in pipeline if step.type != 'KeepOriginalImage']
    path = write('a.png')
    got = []
    for first, source in (([dict(type='KeepOriginalImage')], draw()), ([], path)):
        cfg.test_dataloader.dataset.pipeline = [*first, *steps]
        torch.manual_seed(0)
        inferencer = Pose2DInferencer(cfg, device='cpu', det_model='whole_image')
        inferencer.show_progress = False
        result = next(inferencer(source, return_datasamples=True))['predictions'][0]
        assert result.pred_instances.num_trials.tolist() == [2]
        assert 'original_image' not in result.gt_instances
        got.append(result.pred_instances.keypoints)
    assert np.array_equal(*got)
    with pytest.raises(InputError, match='KeepOriginalImage'):
        next(inferencer(draw(), return_datasamples=True))


def test_msshead_on_the_hourglass(tmp_path):
    model = MODELS.build(
        dict(
            type='ConditionalTopdownPoseEstimator',
            backbone=dict(type='MultiScaleHourglass', num_keypoints=3, num_stacks=1, channels=8),
            head=dict(
                type='MSSHead',
                decoder=dict(
                    type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1
                ),
            ),
            data_preprocessor=dict(type='PoseDataPreprocessor', mean=[0] * 3, std=[255] * 3),
            test_cfg=dict(
                conditional=dict(thresholds=9.0, score_threshold=0.0), multi_scale=True, **FLIP
            ),
        )
    ).eval()
    source = build(input_size=(64, 64))
    model.cfg, model.dataset_meta = source.cfg, source.dataset_meta
    keypoints, _, trials = run(model, write(tmp_path / 'a.png'), BOX, BOX + 5)
    assert keypoints.shape == (2, 3, 2) and trials == [4, 4]


def test_output_heatmaps_and_chosen_keypoints():
    test_cfg = dict(
        conditional=dict(thresholds=[2.0, 0.0]),
        output_heatmaps=True,
        output_keypoint_indices=[2, 0],
    )
    (result,) = inference_topdown(build(test_cfg), draw(), BOX[None])
    pred = result.pred_instances
    assert np.abs(pred.keypoints[0] - POINTS[[2, 0]]).max() < 0.5
    assert result.pred_fields.heatmaps.shape == (2, 48, 48)
    assert np.array_equal(pred.keypoints_visible, pred.keypoint_scores)


@pytest.mark.parametrize(
    'conditional,message',
    [
        (dict(), 'thresholds: give numbers or a file'),
        (dict(thresholds=[]), 'thresholds=\\[\\]: expected'),
        (dict(thresholds=[0.1, None]), 'thresholds=.*: expected'),
        (dict(thresholds=[[0.1], [0.2]]), 'thresholds=.*: expected'),
        (dict(thresholds=[float('nan')] * 3), 'thresholds=.*: expected'),
        (dict(thresholds='no/such/file.json'), 'not found.*mspose calibrate'),
        (dict(thresholds=0.5, score_threshold=-1), 'score_threshold=-1: expected'),
        (dict(thresholds=0.5, score_threshold='a'), 'score_threshold=.*: expected'),
        (dict(thresholds=0.5, perturbations=[]), 'perturbations=.*: expected'),
        (dict(thresholds=0.5, perturbations=[(0, 0)]), 'perturbations=.*: expected'),
        (dict(thresholds=0.5, perturbations=[(0, 0, 0)]), 'factor positive'),
        (dict(thresholds=0.5, perturbations=[(0, float('inf'), 1)]), 'perturbations=.*: expected'),
        (dict(thresholds=0.5, max_trials=0), 'max_trials=0: expected a whole number of 1 or more'),
        (dict(thresholds=0.5, trials_per_round=True), 'trials_per_round=True: expected'),
        (dict(thresholds=0.5, batch_size=2.5), 'batch_size=2.5: expected'),
        (dict(thresholds=0.5, agreement=-0.1), 'agreement=-0.1: expected'),
        (dict(threshold=0.5), 'expected a dict of thresholds, score_threshold'),
        ('thresholds.json', 'expected a dict'),
    ],
)
def test_bad_options_are_said_in_one_line(conditional, message):
    with pytest.raises(InputError, match=message) as e:
        build(dict(conditional=conditional))
    assert '\n' not in str(e.value)


@pytest.mark.parametrize(
    'text,message',
    [
        ('', 'is empty'),
        ('{', 'is not JSON'),
        ('[]', 'has no thresholds'),
        ('{}', 'has no thresholds'),
        ('{"thresholds": [], "score_threshold": 0}', 'thresholds=.*expected'),
        ('{"thresholds": [0.1, "a"], "score_threshold": 0}', 'thresholds=.*expected'),
        ('{"thresholds": [0.1]}', 'has no thresholds'),
        ('{"thresholds": [0.1], "score_threshold": 0, "agreement": -1}', 'agreement=-1'),
    ],
)
def test_broken_threshold_files(tmp_path, text, message):
    path = tmp_path / 't.json'
    path.write_text(text)
    with pytest.raises(InputError, match=message) as e:
        build(dict(conditional=dict(thresholds=str(path))))
    assert str(path) in str(e.value) and 'mspose calibrate' in str(e.value)
    assert '\n' not in str(e.value)


def test_threshold_file_and_options_beside_it(tmp_path):
    path = tmp_path / 't.json'
    path.write_text(json.dumps(dict(thresholds=[0.1, 0.2, 0.3], score_threshold=0.25, x=1)))
    cfg = ConditionalOptions.from_cfg(dict(thresholds=str(path)))
    assert cfg.thresholds.tolist() == [0.1, 0.2, 0.3] and cfg.score_threshold == 0.25
    assert np.array_equal(cfg.perturbations, PERTURBATIONS) and cfg.trials_per_round is None
    cfg = ConditionalOptions.from_cfg(dict(thresholds=str(path), score_threshold=0.5))
    assert cfg.score_threshold == 0.5
    path.write_text(
        json.dumps(
            dict(
                thresholds=[0.1],
                score_threshold=0.25,
                perturbations=[[0.1, 0, 1], [0, 0, 1.2]],
                trials_per_round=1,
                agreement=0.02,
                gain=3,
            )
        )
    )
    cfg = ConditionalOptions.from_cfg(dict(thresholds=str(path), agreement=0.2, max_trials=1))
    assert cfg.perturbations.tolist() == [[0.1, 0, 1]] and cfg.trials_per_round == 1
    assert cfg.agreement == 0.2, 'what the config sets overrides the file'


def test_wrong_number_of_thresholds():
    model = build(dict(conditional=dict(thresholds=[0.5] * 16)))
    with pytest.raises(
        InputError, match='thresholds: number=16: expected 3, one for each keypoint of the model'
    ):
        run(model, draw())


@pytest.mark.parametrize('scales', [(), (0,), (-1, 1), ('a',), 3, dict(scale=(1,)), [float('nan')]])
def test_bad_scales(scales):
    with pytest.raises(InputError, match='test_cfg.multi_scale=.*expected'):
        build(dict(multi_scale=scales))


def test_multi_scale_needs_heatmaps():
    simcc = dict(
        type='SimCCHead',
        in_channels=3,
        out_channels=3,
        input_size=(96, 96),
        in_featuremap_size=(48, 48),
        deconv_out_channels=None,
        decoder=dict(type='SimCCLabel', input_size=(96, 96), sigma=2.0),
    )
    with pytest.raises(InputError, match='SimCCLabel'):
        build(dict(multi_scale=True), head=simcc)
    with pytest.raises(InputError, match='UDPHeatmap'):
        build(dict(multi_scale=True), 'udp', heatmap_type='combined')
    build(dict(conditional=dict(thresholds=0.5)), head=simcc)  # needs keypoints and scores alone

    class NoHeatmaps(HeatmapHead):
        def predict(self, feats, samples, test_cfg=None):
            return super().predict(feats, samples, test_cfg={})

    model = build(dict(multi_scale=True))
    model.head.__class__ = NoHeatmaps
    with pytest.raises(InputError, match='NoHeatmaps gives no heatmaps'):
        run(model, draw())


def test_testing_cost_needs_counts():
    metric = METRICS.build(dict(type='TestingCost'))
    with pytest.raises(InputError, match='ConditionalTopdownPoseEstimator'):
        metric.process(None, [dict(pred_instances=dict(keypoints=np.zeros((1, 3, 2))))])
