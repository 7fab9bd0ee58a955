"""Thresholds from a validation set: the criteria, each data set's measure, the tool."""
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.registry import METRICS, MODELS

from mspose_plugin.errors import InputError
from mspose_plugin.evaluation.calibration import best_threshold, calibrate
from mspose_plugin.models.pose_estimators.conditional import read_thresholds

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import tiny_run  # noqa: E402

TOOL = str(tiny_run.REPOSITORY / 'tools/calibrate_thresholds.py')


def quality(scores, found, threshold, criterion):
    """Return what a criterion maximises, counted one by one."""
    passed = [f for s, f in zip(scores, found) if s >= threshold]
    hits, misses = sum(passed), len(passed) - sum(passed)
    if criterion == 'f1':
        return 2 * hits / (found.sum() + len(passed)) if passed else 0.
    return hits / found.sum() - misses / (~found).sum()


@pytest.mark.parametrize('criterion', ['f1', 'youden'])
@pytest.mark.parametrize('ties', [False, True])
def test_threshold_equals_exhaustive_search(criterion, ties):
    rng = np.random.default_rng(1)
    for _ in range(20):
        found = rng.random(30) < 0.7
        scores = rng.normal(0.4 + 0.2 * found, 0.2)
        scores = scores.round(1) if ties else scores
        if found.all() or not found.any():
            continue
        got = best_threshold(scores, found, criterion)
        best = max(quality(scores, found, s, criterion) for s in scores)
        assert quality(scores, found, got, criterion) == pytest.approx(best)
        lower = scores[scores < got]
        assert all(quality(scores, found, s, criterion) < best for s in lower), 'not the lowest'


def test_precision_takes_the_most_that_it_may():
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    found = np.array([True, True, False, True, True, False])
    assert best_threshold(scores, found, 'precision', 0.8) == pytest.approx(0.45)
    assert best_threshold(scores, found, 'precision', 1.) == pytest.approx(0.75)
    assert best_threshold(scores, ~found, 'precision', 1.) == pytest.approx(0.85)
    assert best_threshold(scores, found, 'precision', 0.5) == 0.4, 'all pass'


def test_separable_scores_are_separated():
    scores = np.linspace(0, 1, 50)
    for criterion in ('f1', 'youden', 'precision'):
        got = best_threshold(scores, scores > 0.6, criterion, 1.)
        assert ((scores >= got) == (scores > 0.6)).all()


def test_rare_keypoints_take_the_common_threshold():
    rng = np.random.default_rng(0)
    labelled = rng.random((400, 3)) < 0.9
    labelled[6:, 2] = False
    found = rng.random((400, 3)) < 0.7
    scores = rng.normal(0.4 + 0.2 * found + [0, 0.5, 0], 0.1)
    scores[0, 0] = np.nan
    tau_c, tau_s, own = calibrate(scores, found, labelled, recall=0.99)
    pooled = calibrate(scores, found, labelled, min_count=10**6)[0]
    assert own.tolist() == [True, True, False] and tau_c[2] == pooled[0] == pooled[1] == pooled[2]
    assert 0.4 < tau_c[0] < 0.6 < 0.9 < tau_c[1] < 1.1
    let_through = scores[found & labelled & np.isfinite(scores)] >= tau_s
    assert let_through.mean() == pytest.approx(0.99, abs=0.003)
    assert calibrate(scores - 9, found, labelled, recall=1.)[1] == 0, 'never negative'


@pytest.mark.parametrize('found,labelled,message', [
    (True, True, 'was missed'), (False, True, 'checkpoint trained'), (True, False, 'is labelled')])
def test_nothing_to_tell_apart(found, labelled, message):
    shape = (20, 3)
    with pytest.raises(InputError, match=message):
        calibrate(np.random.rand(*shape), np.full(shape, found), np.full(shape, labelled))


def make_samples(num_keypoints, miss, scores, **gt):
    """Return a sample for each person, predicted ``miss`` ``[N, K]`` pixels off."""
    base = np.arange(2. * num_keypoints).reshape(1, num_keypoints, 2) * 7
    return [dict(gt_instances=dict(keypoints=base, keypoints_visible=np.ones((1, num_keypoints)),
                                   **{k: v[None] for k, v in gt.items()}),
                 pred_instances=dict(keypoints=base + [[[0, 1]]] * m[None, :, None],
                                     keypoint_scores=s[None]),
                 raw_ann_info=dict(area=900.))
            for m, s in zip(miss, scores, strict=True)]


@pytest.mark.parametrize('evaluator,num_keypoints,limit', [
    (dict(type='PCKhAUC'), 16, 15.), (dict(type='PCKhAUC', thr=0.2), 16, 6.),
    # |left shoulder - right hip| are 7 keypoints of (14, 14) pixels apart
    (dict(type='FlicPCK'), 11, 0.2 * 7 * np.hypot(14, 14)),
    ([dict(type='TestingCost'), dict(type='CocoMetric', ann_file='x.json')], 17,
     2 * 0.05 * np.sqrt(2 * np.log(2) * 900))])
def test_found_is_what_the_data_set_says(tmp_path, evaluator, num_keypoints, limit):
    """Confident when within the limit: found must come out as exactly that."""
    rng = np.random.default_rng(0)
    near = rng.random((60, num_keypoints)) < 0.6
    miss = np.where(near, limit * 0.98, limit * 1.02)
    scores = np.where(near, 0.8, 0.3)
    metric = METRICS.build(dict(type='ThresholdCalibration', evaluator=evaluator,
                                out_file=str(tmp_path / 'deep/t.json'),
                                provenance=dict(config='c')))
    metric.dataset_meta = dict(sigmas=[0.05] * num_keypoints,
                               keypoint_id2name={k: f'k{k}' for k in range(num_keypoints)})
    metric.process(None, make_samples(num_keypoints, miss, scores, head_size=np.array([30.])))
    got = metric.evaluate(60)
    content = json.loads((tmp_path / 'deep/t.json').read_text())
    assert content['thresholds'] == pytest.approx([0.55] * num_keypoints)
    assert content['score_threshold'] == pytest.approx(0.8)
    assert content['found_percent'] == pytest.approx(100 * near.mean(axis=0), abs=0.01)
    assert got['retried'] == pytest.approx(100 * (~near).any(axis=1).mean())
    assert content['keypoints'][1] == 'k1' and content['config'] == 'c' and not content['pooled']
    assert content['persons'] == 60 and content['labelled'] == [60] * num_keypoints
    assert read_thresholds(str(tmp_path / 'deep/t.json'))['score_threshold'] > 0.5


def test_bad_arguments():
    def make(**kwargs):
        return METRICS.build(dict(type='ThresholdCalibration', out_file='t.json',
                                  **{'evaluator': dict(type='PCKhAUC'), **kwargs}))

    for kwargs, message in ((dict(criterion='best'), 'expected one of f1'),
                            (dict(precision=0), 'precision 0'), (dict(recall=2), 'recall 2'),
                            (dict(evaluator=[]), 'is empty'),
                            (dict(evaluator=dict(type='AUC')), 'AUC: calibration knows')):
        with pytest.raises(InputError, match=message):
            make(**kwargs)
    with pytest.raises(InputError, match='no person'):
        make().compute_metrics([])
    metric = make(evaluator=dict(type='CocoMetric'))
    sample, = make_samples(17, np.ones((1, 17)), np.ones((1, 17)))
    del sample['raw_ann_info']
    with pytest.raises(InputError, match='bbox_file=None'):
        metric.process(None, [sample])
    sample['pred_instances']['keypoints'] = np.zeros((1, 16, 2))
    with pytest.raises(InputError, match='do not fit'):
        metric.process(None, [sample])


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    """Return a config with conditional testing, its untrained checkpoint and their folder."""
    folder = tmp_path_factory.mktemp('tiny')
    config = tiny_run.write_config(folder / 'tiny.py', tiny_run.write_mpii(folder / 'data'), '''
model.update(type='ConditionalTopdownPoseEstimator', test_cfg=dict(
    flip_test=True, conditional=dict(thresholds='thresholds.json', max_trials=2)))
val_evaluator = dict(type='PCKhAUC', thr=2.)  # so wide that chance finds some
test_evaluator = [val_evaluator, dict(type='TestingCost')]
''')
    cfg = Config.fromfile(str(config))
    cfg.model.pop('test_cfg')
    torch.manual_seed(0)
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict(), meta={}), folder / 'a.pth')
    return config, folder / 'a.pth', folder


def test_calibrate_then_test(tiny):
    """The file that one tool writes is the one that the other takes."""
    config, checkpoint, folder = tiny
    before = tiny_run.run([tiny_run.TEST, config, checkpoint], folder)
    assert 'thresholds.json' in before.error and 'calibrate_thresholds.py' in before.error
    done = tiny_run.run([TOOL, config, checkpoint, '--min-count', '1'], folder)
    assert done.status == 0, done.err
    assert 'model.test_cfg.conditional.thresholds=thresholds.json' in done.out
    content = json.loads((folder / 'thresholds.json').read_text())
    assert len(content['thresholds']) == 16 and content['persons'] == 4
    assert content['found'] == 'PCKh@2' and content['keypoints'][0] == 'right_ankle'
    assert content['checkpoint'] == str(checkpoint) and content['flip_test'] is True
    for options, passes in (([], None), (['model.test_cfg.multi_scale=True',
                                          'model.test_cfg.conditional=None'], 12),
                            (['model.test_cfg.conditional.thresholds=9.'], 6)):
        options = ['--cfg-options', *options] if options else []
        done = tiny_run.run([tiny_run.TEST, config, checkpoint, '--out', 'm.json', *options],
                            folder)
        assert done.status == 0, done.err
        metrics = json.loads((folder / 'm.json').read_text())
        assert 'PCKh' in metrics
        if passes is None:
            passes = 2 + 2 * metrics['cost/trials']
            assert metrics['cost/retried'] >= content['retried_percent'] > 0
        assert metrics['cost/passes'] == pytest.approx(passes)


def test_mistakes_are_said_in_one_line(tiny):
    config, checkpoint, folder = tiny
    folder = folder / 'mistakes'
    for argv, message in (([config, 'no.pth'], 'no.pth'), ([config, checkpoint, '--out', 'a.txt'],
                                                           'ending in .json'),
                          ([config, checkpoint, '--cfg-options', 'val_evaluator=None'],
                           'val_evaluator')):
        assert message in tiny_run.run([TOOL, *argv], folder).error
