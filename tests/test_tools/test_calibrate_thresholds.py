"""Options of conditional testing from a validation set: each data set's measure, verdict, tool."""

import json

import numpy as np
import pytest
import tiny_run
import torch
from mmengine.config import Config
from mmpose.registry import METRICS, MODELS

from mspose_plugin.datasets.samplers import RandomPersons
from mspose_plugin.evaluation.metrics import FlicPCK
from mspose_plugin.models.pose_estimators.conditional_options import ConditionalOptions
from mspose_plugin.utils.errors import InputError

TOOL = str(tiny_run.REPOSITORY / 'tools/calibrate_thresholds.py')
TABLE = [(0.1, 0.0, 1.0), (0.0, 0.0, 1.2)]
SIGMA = 0.05
BASE = np.array([[4.0 * (k % 6), 9.0 * k] for k in range(17)])


def make_samples(folder, num_keypoints, cures=0.8, spoils=0.0, unsure=0.3, persons=120, seed=0):
    """Return samples with trials, one in 20 keypoints missed by 40 pixels, and COCO's file.

    Args:
        folder: gets ``coco.json``.
        num_keypoints: K.
        cures: share of the misses that the second perturbation puts right.
        spoils: share of the hits that it loses.
        unsure: confidence of a missed keypoint; a hit has 0.8.
        persons: N, two in an image.
        seed: of all this.
    """
    rng = np.random.default_rng(seed)
    shape = (persons, num_keypoints)
    missed = np.repeat((rng.random(shape) < 0.05)[None], 3, axis=0)
    missed[2] ^= rng.random(shape) < np.where(missed[0], cures, spoils)
    off = np.where(missed, 40.0, rng.uniform(0, 3, shape))
    scores = np.where(missed, unsure, 0.8) + rng.uniform(-0.05, 0.05, missed.shape)
    samples, annotations = [], []
    for n in range(persons):
        truth = BASE[:num_keypoints] + [100 * (n % 2), 0]
        visible = rng.random(num_keypoints) < 0.9
        visible[[0, 7]] = True  # FLIC's torso
        bbox = [100.0 * (n % 2), 0.0, 60.0, 200.0]
        raw = dict(
            id=n + 1,
            image_id=n // 2,
            category_id=1,
            bbox=bbox,
            area=9000.0,
            iscrowd=0,
            num_keypoints=int(visible.sum()),
            keypoints=np.column_stack([truth, 2 * visible]).ravel().tolist(),
        )
        annotations.append(raw)
        trials = truth + off[:, n, :, None] * [[[1.0, 0.0]]]
        samples.append(
            dict(
                id=n,
                img_id=n // 2,
                img_path=f'{n // 2}.jpg',
                ori_shape=(300, 300),
                raw_ann_info=raw,
                category_id=1,
                input_scale=np.array([150.0, 200.0], np.float32),
                gt_fields=0,
                gt_instances=dict(
                    keypoints=truth[None],
                    keypoints_visible=visible[None].astype(np.float32),
                    head_size=np.array([30.0]),
                    bbox_scores=np.ones(1),
                    bboxes=np.array([bbox]),
                    bbox_scales=np.array([[90.0, 100.0]]),
                ),
                pred_instances=dict(
                    keypoints=trials[None, 2],
                    keypoint_scores=scores[None, 2, n],
                    trial_keypoints=trials[None].astype(np.float32),
                    trial_scores=scores[None, :, n].astype(np.float32),
                    num_trials=np.array([2]),
                    num_passes=np.array([6]),
                ),
            )
        )
    (folder / 'coco.json').write_text(
        json.dumps(
            dict(
                images=[dict(id=i, width=300, height=300) for i in range(persons // 2)],
                annotations=annotations,
                categories=[dict(id=1, name='person')],
            )
        )
    )
    return samples


def calibrate(folder, samples, evaluator, **options):
    """Run the evaluator that calibrates; return its metrics and the file."""
    num_keypoints = samples[0]['gt_instances']['keypoints'].shape[1]
    metric = METRICS.build(
        dict(
            type='ThresholdCalibration',
            evaluator=evaluator,
            out_file=str(folder / 'deep/t.json'),
            perturbations=TABLE,
            provenance=dict(config='c'),
            **options,
        )
    )
    metric.dataset_meta = dict(
        sigmas=np.full(num_keypoints, SIGMA),
        num_keypoints=num_keypoints,
        dataset_name='none',
        keypoint_id2name={k: f'k{k}' for k in range(num_keypoints)},
    )
    metric.process(None, samples)
    metrics = metric.evaluate(len(samples))
    assert [p.name for p in (folder / 'deep').iterdir()] == ['t.json']
    return metrics, json.loads((folder / 'deep/t.json').read_text())


def evaluators(folder):
    return {
        16: dict(type='PCKhAUC'),
        11: dict(type='FlicPCK', prefix='x'),
        17: [dict(type='TestingCost'), dict(type='CocoMetric', ann_file=str(folder / 'coco.json'))],
    }


def test_pck_of_own_data_writes_nobody_down(tmp_path):
    samples = make_samples(tmp_path, 17)
    evaluator = dict(type='BoxPCK', persons_file=str(tmp_path / 'persons.json'))
    metrics, content = calibrate(tmp_path, samples, evaluator)
    assert content['measure'] == 'PCK (of the box)@0.1' and content['metrics']['PCK'] > 0
    assert not (tmp_path / 'persons.json').exists()


def oks(sample, keypoints):
    """Return the similarity of a person, as COCO's evaluation code computes it."""
    raw = sample['raw_ann_info']
    labels = np.array(raw['keypoints']).reshape(-1, 3)
    squares = ((keypoints - labels[:, :2]) ** 2).sum(axis=1)
    exponents = squares / (2 * SIGMA) ** 2 / (raw['area'] + np.spacing(1)) / 2
    return np.exp(-exponents[labels[:, 2] > 0]).mean()


@pytest.mark.parametrize(
    'num_keypoints,measure,headline',
    [(16, 'PCKh@0.5', 'PCKh'), (11, 'FLIC PCK@0.2', 'PCK'), (17, 'mean OKS', 'AP')],
)
def test_accuracy_is_the_data_sets_own(tmp_path, num_keypoints, measure, headline):
    samples = make_samples(tmp_path, num_keypoints)
    metrics, content = calibrate(tmp_path, samples, evaluators(tmp_path)[num_keypoints])
    once, again = content['metrics_plain'], content['metrics']
    assert content['measure'] == measure and again[headline] > once[headline]
    everyone = content['all']
    if headline == 'AP':
        first = [oks(s, s['pred_instances']['trial_keypoints'][0, 0]) for s in samples]
        assert everyone['plain'] == pytest.approx(100 * np.mean(first))
    else:
        assert everyone['plain'] == pytest.approx(once[headline])
        assert everyone['conditional'] == pytest.approx(again[headline])
    assert everyone['gain'] == pytest.approx(everyone['conditional'] - everyone['plain'])
    # what helps is found, and few are asked who are sure
    assert content['perturbations'] == [list(TABLE[1])] and content['rejected'] is None
    thresholds = np.array(content['thresholds'])
    assert (thresholds < 0.78).all()
    if headline == 'PCKh':
        assert (thresholds[[6, 7]] == 0).all(), 'pelvis and thorax do not count'
    assert 2.5 < everyone['passes'] < 4 and 25 < everyone['retried_percent'] < 90
    # 6 passes of 3 estimates: 2 each, as with flip testing
    assert everyone['passes'] == pytest.approx(2 + 2 * everyone['retried_percent'] / 100)
    parts = [content[name] for name in ('search', 'held_out')]
    assert [p['persons'] for p in parts] == [60, 60] and [p['images'] for p in parts] == [30, 30]
    for part in parts:
        low, high = part['gain_interval']
        assert 0 < low < part['gain'] < high
        assert part['gain_per_extra_pass'] == pytest.approx(part['gain'] / (part['passes'] - 2))
    assert metrics == pytest.approx(
        {
            'calibration/gain': parts[1]['gain'],
            'calibration/passes': parts[1]['passes'],
            'calibration/gain_low': parts[1]['gain_interval'][0],
            'calibration/gain_high': parts[1]['gain_interval'][1],
            'calibration/retried': parts[1]['retried_percent'],
        }
    )
    assert content['keypoints'][1] == 'k1' and content['config'] == 'c' and content['seed'] == 0
    cfg = ConditionalOptions.from_cfg(dict(thresholds=str(tmp_path / 'deep/t.json')))
    assert np.array_equal(cfg.thresholds, thresholds)
    assert np.array_equal(cfg.perturbations, [TABLE[1]])


@pytest.mark.parametrize('num_keypoints', [11, 16, 17])
@pytest.mark.parametrize(
    'world', [dict(cures=0.0), dict(cures=0.0, spoils=0.3), dict(cures=0.4, spoils=0.1, unsure=0.8)]
)
def test_thresholds_are_zero_where_trying_again_does_not_pay(tmp_path, num_keypoints, world):
    samples = make_samples(tmp_path, num_keypoints, **world)
    metrics, content = calibrate(tmp_path, samples, evaluators(tmp_path)[num_keypoints])
    assert content['thresholds'] == [0] * num_keypoints
    assert content['verdict'].startswith('thresholds 0, every person is estimated once: ')
    assert content['metrics'] == content['metrics_plain']
    for name in ('search', 'held_out', 'all'):
        part = content[name]
        assert part['gain'] == 0 and part['gain_interval'] == [0, 0] and part['passes'] == 2
        assert part['plain'] == part['conditional'] and part['gain_per_extra_pass'] is None
    assert content['rejected']['search']['persons'] == 60
    assert metrics['calibration/gain'] == metrics['calibration/retried'] == 0
    assert not ConditionalOptions.from_cfg(
        dict(thresholds=str(tmp_path / 'deep/t.json'))
    ).thresholds.any()


def test_a_gain_on_the_search_half_alone_is_not_taken(tmp_path):
    samples = make_samples(tmp_path, 16)
    names = sorted({s['img_path'] for s in samples})
    searched = {names[i] for i in np.random.default_rng(0).permutation(60)[:30]}
    for sample in samples:  # held out: the trial repeats the first estimate
        if sample['img_path'] not in searched:
            for trials in ('trial_keypoints', 'trial_scores'):
                trials = sample['pred_instances'][trials]
                trials[:, 2] = trials[:, 0]
    _, content = calibrate(tmp_path, samples, dict(type='PCKhAUC'))
    assert not any(content['thresholds'])
    assert 'on the held_out half, which is not certain' in content['verdict']
    assert content['rejected']['search']['gain'] > 2 and any(content['rejected']['thresholds'])


def test_the_evaluators_own_figure_must_not_fall(tmp_path):
    @METRICS.register_module(force=True)
    class ContraryPCK(FlicPCK):
        def compute_metrics(self, results):
            return dict(PCK=100 - super().compute_metrics(results)['PCK'])

    _, content = calibrate(tmp_path, make_samples(tmp_path, 11), dict(type='ContraryPCK'))
    assert not any(content['thresholds'])
    assert 'take PCK of all persons from' in content['verdict']


def test_ap_is_left_out_for_a_part_of_the_persons(tmp_path):
    samples = make_samples(tmp_path, 17)
    evaluator = evaluators(tmp_path)[17]
    _, content = calibrate(tmp_path, samples[:100], evaluator, sampled=True)
    assert content['metrics'] is None and content['all']['persons'] == 100
    assert any(content['thresholds'])


def test_aims_and_seeds_reach_the_file(tmp_path):
    samples = make_samples(tmp_path, 16)
    files = [
        calibrate(tmp_path, samples, dict(type='PCKhAUC'), **options)[1]
        for options in (
            dict(),
            dict(),
            dict(seed=1),
            dict(aim='gain', max_passes=2.7, confidence=0.9),
        )
    ]
    assert files[0] == files[1] and files[0]['search'] != files[2]['search']
    assert files[3]['search']['passes'] <= 2.7 < files[0]['search']['passes']
    _, content = calibrate(tmp_path, samples, dict(type='PCKhAUC'), max_passes=2)
    assert not any(content['thresholds']) and 'in 2 passes a person' in content['verdict']
    assert (files[3]['aim'], files[3]['max_passes'], files[3]['confidence']) == ('gain', 2.7, 0.9)


def test_random_persons():
    sampler = RandomPersons(range(100), 20, seed=3)
    chosen = list(sampler)
    assert len(sampler) == len(set(chosen)) == 20 and chosen == sorted(chosen)
    assert (
        chosen
        == list(RandomPersons(range(100), 20, seed=3))
        != list(RandomPersons(range(100), 20, seed=4))
    )
    assert list(RandomPersons(range(5), 20)) == [0, 1, 2, 3, 4]
    shares = []
    for rank in range(3):
        sampler.rank, sampler.world_size = rank, 3
        shares.append(list(sampler))
        assert len(sampler) == len(shares[-1])
    assert sorted(sum(shares, [])) == chosen


def test_bad_arguments(tmp_path):
    def make(**kwargs):
        return METRICS.build(
            dict(
                type='ThresholdCalibration',
                out_file='t.json',
                perturbations=TABLE,
                **{'evaluator': dict(type='PCKhAUC'), **kwargs},
            )
        )

    for kwargs, message in (
        (dict(aim='best'), "aim='best': expected one of"),
        (dict(confidence=1), 'confidence=1: expected'),
        (dict(evaluator=[]), 'is empty'),
        (dict(evaluator=dict(type='AUC')), 'AUC: calibration needs'),
    ):
        with pytest.raises(InputError, match=message):
            make(**kwargs)
    with pytest.raises(InputError, match='no person'):
        make().compute_metrics([])
    samples = make_samples(tmp_path, 17)
    metric = make(evaluator=dict(type='CocoMetric'))
    metric.dataset_meta = dict(sigmas=np.full(17, SIGMA), dataset_name='none')
    metric.process(None, samples[:2])
    with pytest.raises(InputError, match='at least two images, got 1 image'):
        metric.evaluate(2)
    without = dict(samples[0])
    del without['raw_ann_info']
    with pytest.raises(InputError, match='bbox_file=None'):
        metric.process(None, [without])
    pred = samples[0]['pred_instances']
    pred['trial_keypoints'] = pred['trial_keypoints'][:, :, :16]
    with pytest.raises(InputError, match='do not fit'):
        metric.process(None, samples[:1])
    del pred['trial_keypoints']
    with pytest.raises(InputError, match='ConditionalTopdownPoseEstimator'):
        metric.process(None, samples[:1])


SQUARES = '''
custom_imports = dict(imports=['mspose_plugin', 'colour_squares'])
codec.update(heatmap_size=(64, 64), sigma=2)
val_dataloader['batch_size'] = 20
model = dict(
    type='{type}',
    data_preprocessor=dict(type='PoseDataPreprocessor', mean=[0.] * 3, std=[1.] * 3),
    backbone=dict(type='ColourBackbone'), head=dict(type='ColourHead', decoder=codec),
    test_cfg=dict({test_cfg}))
test_dataloader = val_dataloader
test_evaluator = [dict(type='PCKhAUC'), *{evaluators}]
'''


@pytest.fixture(scope='module')
def squares(tmp_path_factory):
    """Return an oracle's config, its checkpoint and their folder; a third of the boxes is off."""
    folder = tmp_path_factory.mktemp('squares')
    data = tiny_run.write_mpii(folder / 'data', train=1, val=90)
    path = data / 'annotations/mpii_val.json'
    persons = json.loads(path.read_text())
    for person in persons[::3]:
        person['center'][0] = 25.0
    path.write_text(json.dumps([dict(person, scale=0.3) for person in persons]))

    def config(name, kind='ConditionalTopdownPoseEstimator', test_cfg='', evaluators=()):
        return tiny_run.write_config(
            folder / name, data, SQUARES.format(type=kind, test_cfg=test_cfg, evaluators=evaluators)
        )

    torch.save(dict(state_dict={'backbone.gain': torch.ones(1)}, meta={}), folder / 'a.pth')
    return config, folder / 'a.pth', folder


def evaluate(config, checkpoint, folder, *options):
    """Return the metrics of ``tools/test.py``."""
    done = tiny_run.run(
        [tiny_run.TEST, config, checkpoint, '--out', 'm.json', '--cfg-options', *options], folder
    )
    assert done.status == 0, done.err
    return json.loads((folder / 'm.json').read_text())


def test_the_tool_predicts_what_testing_gives(squares):
    """Boxes that cut joints off: shifts find them, the file says so, tools/test.py agrees."""
    make, checkpoint, folder = squares
    config = make('plain.py', 'TopdownPoseEstimator')  # MMPose's is replaced for the calibration
    done = tiny_run.run([TOOL, config, checkpoint], folder)
    assert done.status == 0, done.err
    content = json.loads((folder / 'thresholds.json').read_text())
    assert content['verdict'].startswith('better on both halves: ')
    assert content['verdict'] in done.out
    assert 'model.test_cfg.conditional.thresholds=thresholds.json' in done.out
    assert (0.1, 0, 1) in map(tuple, content['perturbations']), 'what is cut off lies to the right'
    assert content['protocol']['checkpoint'] == str(checkpoint) and content['measure'] == 'PCKh@0.5'
    assert len(content['candidates']) == 10 and content['all']['persons'] == 90
    assert 25 < content['all']['retried_percent'] < 75, 'not everybody is tried again'

    plain = evaluate(config, checkpoint, folder, 'randomness.seed=1')
    assert plain == content['metrics_plain']
    config = make(
        'conditional.py',
        test_cfg="conditional=dict(thresholds='thresholds.json')",
        evaluators=[dict(type='TestingCost')],
    )
    tested = evaluate(config, checkpoint, folder, 'randomness.seed=2')
    cost = {key: tested.pop(key) for key in list(tested) if key.startswith('cost/')}
    assert tested == content['metrics'] and tested['PCKh'] > plain['PCKh'] + 1
    assert cost['cost/passes'] == pytest.approx(content['all']['passes'])
    assert cost['cost/retried'] == pytest.approx(content['all']['retried_percent'])


def test_several_processes_write_the_same_file(squares):
    make, checkpoint, folder = squares
    config = make('a.py')
    argv = [TOOL, config, checkpoint, '--shifts', '0.1', '--scales', '--max-persons', '65']
    one = tiny_run.run([*argv, '--out', 'one.json'], folder)
    assert one.status == 0, one.err
    for done in tiny_run.run_ranks([*argv, '--out', 'two.json', '--launcher', 'pytorch'], folder):
        assert done.status == 0, done.err
    first, second = (json.loads((folder / name).read_text()) for name in ('one.json', 'two.json'))
    assert first == second and first['all']['persons'] == 65
    assert first['candidates'] == [[-0.1, 0, 1], [0.1, 0, 1], [0, -0.1, 1], [0, 0.1, 1]]


def test_an_untrained_network_is_tested_once(tmp_path):
    """The file that one tool writes is the one that the other takes."""
    config = tiny_run.write_config(
        tmp_path / 'tiny.py',
        tiny_run.write_mpii(tmp_path / 'data'),
        '''
model.update(type='ConditionalTopdownPoseEstimator', test_cfg=dict(
    flip_test=True, conditional=dict(thresholds='thresholds.json', batch_size=3)))
test_evaluator = [val_evaluator, dict(type='TestingCost')]
''',
    )
    cfg = Config.fromfile(str(config))
    cfg.model.pop('test_cfg')
    torch.manual_seed(0)
    checkpoint = tmp_path / 'a.pth'
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict(), meta={}), checkpoint)
    before = tiny_run.run([tiny_run.TEST, config, checkpoint], tmp_path)
    assert 'thresholds.json' in before.error and 'mspose calibrate' in before.error
    done = tiny_run.run([TOOL, config, checkpoint, '--shifts', '0.1', '--scales'], tmp_path)
    assert done.status == 0, done.err
    content = json.loads((tmp_path / 'thresholds.json').read_text())
    assert content['thresholds'] == [0] * 16 and 'thresholds 0, every person' in done.out
    assert content['protocol']['flip_test'] is True and content['all']['passes'] == 2
    for options, passes in (
        (['randomness.seed=1'], 2),
        (['model.test_cfg.conditional.thresholds=9.'], 2 * 5),
        (['model.test_cfg.multi_scale=True', 'model.test_cfg.conditional=None'], 2 * 6),
    ):
        metrics = evaluate(config, checkpoint, tmp_path, *options)
        assert 'PCKh' in metrics and metrics['cost/passes'] == passes


def test_mistakes_are_said_in_one_line(squares):
    make, checkpoint, folder = squares
    config, folder = make('a.py'), folder / 'mistakes'
    for argv, message in (
        ([config, 'no.pth'], 'no.pth'),
        ([config, checkpoint, '--out', 'a.txt'], '.json'),
        ([config, checkpoint, '--shifts', '--scales'], 'one candidate at least'),
        ([config, checkpoint, '--scales', '0'], 'factor positive'),
        ([config, checkpoint, '--max-persons', '1'], '2 or more'),
        ([config, checkpoint, '--cfg-options', 'val_evaluator=None'], 'val_evaluator'),
    ):
        assert message in tiny_run.run([TOOL, *argv], folder).error
