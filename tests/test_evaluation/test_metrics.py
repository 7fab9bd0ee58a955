"""The evaluators: MMPose's figures, published figures, files, errors."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData
from mmpose.evaluation.metrics import MpiiPCKAccuracy
from mmpose.registry import METRICS
from scipy.io import loadmat

import mspose_plugin  # noqa: F401
from mspose_plugin.datasets import FlicDataset, ZeroBasedMpiiDataset
from mspose_plugin.evaluation import BoxPCK, FlicPCK, PCKhAUC, flic_pck, pckh
from mspose_plugin.evaluation.pck import pck_curve, threshold_grid
from mspose_plugin.utils.errors import InputError

SHARED = Path(__file__).resolve().parents[3] / 'shared' / 'data'
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f'real annotations not at {SHARED}')


def make_sample(pred, gt, visible, head_size=None):
    """Return what an MMPose top-down model hands to a metric for one person."""
    truth = dict(keypoints=gt[None], keypoints_visible=visible[None])
    if head_size is not None:
        truth['head_size'] = np.array([[head_size]])
    return dict(pred_instances=dict(keypoints=pred[None]), gt_instances=truth)


def make_people(n=40, joints=16):
    """Return predictions, ground truth, visibility and head sizes."""
    rng = np.random.default_rng(3)
    gt = rng.uniform(0, 500, (n, joints, 2)).astype(np.float32)
    pred = (gt + rng.normal(0, 15, gt.shape)).astype(np.float32)
    return pred, gt, rng.random((n, joints)) < 0.8, rng.uniform(20, 80, n)


def evaluate(metric, samples):
    """Run a metric over samples, in batches of 7."""
    for i in range(0, len(samples), 7):
        metric.process(None, samples[i : i + 7])
    return metric.evaluate(len(samples))


@needs_shared
def test_published_figures_of_the_stacked_hourglass():
    root = SHARED / 'mpii_val'
    dataset = ZeroBasedMpiiDataset(
        ann_file='mpii_val.json',
        headbox_file=str(root / 'mpii_gt_val.mat'),
        data_root=str(root),
        test_mode=True,
    )
    with h5py.File(root / 'newell_hourglass_val.h5') as f:
        preds = f['preds'][:] - 1
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    samples = [
        dict(pred_instances=dict(keypoints=pred[None]), gt_instances=info)
        for pred, info in zip(preds, infos, strict=True)
    ]
    got = evaluate(PCKhAUC(), samples)
    assert len(samples) == 2958
    want = dict(
        Head=95.94, Shoulder=94.68, Elbow=88.53, Wrist=83.38, Hip=87.48, Knee=83.09, Ankle=79.05
    )
    assert {key: round(got[key], 2) for key in want} == want
    assert round(got['PCKh'], 3) == 88.035
    assert round(got['PCKh@0.1'], 2) == 28.65
    assert round(got['AUC'], 2) == 58.81


@needs_shared
def test_published_figures_through_pipeline_collation_and_evaluator():
    """The .mat file's joints arrive in float64 and are compared without rounding."""
    root = SHARED / 'mpii_val'
    dataset = ZeroBasedMpiiDataset(
        ann_file='mpii_val.json',
        headbox_file=str(root / 'mpii_gt_val.mat'),
        data_root=str(root),
        test_mode=True,
        pipeline=[
            lambda info: dict(info, img=np.zeros((1, 1, 3), np.uint8)),
            dict(type='PackPoseInputs'),
        ],
    )
    with h5py.File(root / 'newell_hourglass_val.h5') as f:
        preds = f['preds'][:]
    evaluator = Evaluator(PCKhAUC())
    for start in range(0, len(dataset), 500):
        samples = pseudo_collate([dataset[i] for i in range(start, min(start + 500, len(dataset)))])
        for sample in samples['data_samples']:
            sample.pred_instances = InstanceData(keypoints=preds[sample.id][None] - 1)
            assert sample.gt_instances.keypoints.dtype == np.float64
        evaluator.process(samples['data_samples'])
    got = evaluator.evaluate(len(dataset))
    truth = loadmat(root / 'mpii_gt_val.mat')
    boxes, exact = truth['headboxes_src'], truth['pos_gt_src'].transpose(2, 0, 1)
    away = (
        np.linalg.norm(preds - exact, axis=2)
        / (0.6 * np.linalg.norm(boxes[1] - boxes[0], axis=0))[:, None]
    )
    counted = (truth['jnt_missing'].T == 0) & ~np.isin(np.arange(16), (6, 7))
    for key, thr in (('PCKh', 0.5), ('PCKh@0.1', 0.1)):
        assert got[key] == 100 * (away[counted] <= thr).sum() / counted.sum()
    assert (round(got['PCKh'], 3), round(got['PCKh@0.1'], 2), round(got['AUC'], 2)) == (
        88.035,
        28.65,
        58.81,
    )


def test_flic_keypoints_are_exact_at_test(tmp_path):
    joints = np.random.default_rng(0).uniform(50, 400, (2, 11, 2))
    with h5py.File(tmp_path / 'valid.h5', 'w') as f:
        f.update(
            imgname=np.array([b'a.jpg', b'b.jpg']),
            part=joints,
            visible=np.ones((2, 11)),
            center=np.full((2, 2), 225.0),
            scale=np.full(2, 2.2),
        )
    options = dict(ann_file=str(tmp_path / 'valid.h5'), observer_centric=False)
    test, train = FlicDataset(test_mode=True, **options), FlicDataset(**options)
    for i in range(2):
        np.testing.assert_array_equal(test.get_data_info(i)['keypoints'][0], joints[i] - 1)
        assert train.get_data_info(i)['keypoints'].dtype == np.float32


def test_nothing_labelled_is_one_line():
    pred, gt, visible, heads = make_people(3)
    samples = [make_sample(*p) for p in zip(pred, gt, visible & False, heads, strict=True)]
    with pytest.raises(InputError, match='none of the 3 persons has a labelled joint'):
        evaluate(PCKhAUC(), samples)


def test_equals_mmpose_with_consistent_coordinates():
    """MMPose's metric adds 1 to 0-based predictions and expects 1-based ground truth."""
    pred, gt, visible, heads = make_people()
    ours = evaluate(
        PCKhAUC(), [make_sample(*p) for p in zip(pred, gt, visible, heads, strict=True)]
    )
    theirs = evaluate(
        MpiiPCKAccuracy(), [make_sample(*p) for p in zip(pred, gt + 1, visible, heads, strict=True)]
    )
    for key in ('Head', 'Shoulder', 'Elbow', 'Wrist', 'Hip', 'Knee', 'Ankle'):
        assert ours[key] == pytest.approx(theirs[f'{key} PCK'])
    assert ours['PCKh'] == pytest.approx(theirs['PCK'])
    assert ours['PCKh@0.1'] == pytest.approx(theirs['PCK@0.1'], abs=1e-4)


def test_metric_equals_function_for_tensors_and_instance_data():
    pred, gt, visible, heads = make_people()
    samples = [
        dict(
            pred_instances=InstanceData(keypoints=torch.from_numpy(p[None])),
            gt_instances=InstanceData(
                keypoints=g[None],
                head_size=np.array([[h]]),
                keypoints_visible=v[None, :, None].repeat(2, axis=2),
            ),
        )
        for p, g, v, h in zip(pred, gt, visible, heads, strict=True)
    ]
    assert evaluate(PCKhAUC(), samples) == pckh(pred, gt, heads, visible)


def test_padding_of_the_last_batch_is_dropped():
    """Samplers repeat samples to fill the ranks; ``evaluate(size)`` cuts them off."""
    samples = [make_sample(*p) for p in zip(*make_people(), strict=True)]
    metric = PCKhAUC()
    metric.process(None, samples + samples[:5])
    assert metric.evaluate(len(samples)) == evaluate(PCKhAUC(), samples)


def test_registered_with_bare_or_prefixed_keys(tmp_path):
    samples = [make_sample(*p) for p in zip(*make_people(), strict=True)]
    metric = METRICS.build(dict(type='PCKhAUC', prefix='mpii'))
    assert 'mpii/PCKh' in evaluate(metric, samples)
    assert list(evaluate(PCKhAUC(), samples)) == [
        'Head',
        'Shoulder',
        'Elbow',
        'Wrist',
        'Hip',
        'Knee',
        'Ankle',
        'PCKh',
        'PCKh-mean',
        'PCKh@0.1',
        'AUC',
        'AUC-mean',
    ]
    assert METRICS.get('FlicPCK') is FlicPCK


def test_curve_file(tmp_path):
    pred, gt, visible, heads = make_people()
    visible[:, 3] = False
    path = tmp_path / 'new' / 'curve.json'
    got = evaluate(
        PCKhAUC(curve_file=str(path)),
        [make_sample(*p) for p in zip(pred, gt, visible, heads, strict=True)],
    )
    curve = json.loads(path.read_text())
    assert curve['thresholds'] == [i / 100 for i in range(51)]
    assert curve['joints']['head'][-1] == got['Head'] == curve['metrics']['Head']
    assert set(curve['joints']['lhip']) == {None} and curve['labelled']['lhip'] == 0
    assert len(curve['joints']) == 16


def test_errors():
    pred, gt, visible, heads = make_people(1)
    with pytest.raises(InputError, match='headbox_file.*MpiiSubmission'):
        PCKhAUC().process(None, [make_sample(pred[0], gt[0], visible[0])])
    with pytest.raises(InputError, match='16 joints'):
        PCKhAUC().process(None, [make_sample(pred[0, :11], gt[0, :11], visible[0, :11], 1.0)])
    with pytest.raises(InputError, match='11 joints'):
        FlicPCK().process(None, [make_sample(pred[0], gt[0], visible[0])])
    sample = make_sample(pred[0], gt[0], visible[0], 1.0)
    sample['pred_instances']['keypoints'] = np.repeat(pred, 2, axis=0)
    with pytest.raises(InputError, match='one prediction for each person'):
        PCKhAUC().process(None, [sample])
    for metric in (PCKhAUC(), FlicPCK()):
        with pytest.raises(InputError, match='no person'):
            metric.evaluate(0)
    with pytest.raises(InputError, match='positive'):
        PCKhAUC(thr=0)


def test_flic_metric_leaves_out_persons_without_torso():
    pred, gt, visible, _ = make_people(joints=11)
    visible[:, [0, 7]] = True
    want = flic_pck(pred[5:], gt[5:], visible[5:])
    visible[:5, 0] = False
    samples = [make_sample(*p) for p in zip(pred, gt, visible, strict=True)]
    assert evaluate(FlicPCK(), samples) == want
    with pytest.raises(
        InputError, match='none of the 5 persons has the joints that the normaliser needs'
    ):
        evaluate(FlicPCK(), samples[:5])


@needs_shared
def test_flic_real_ground_truth_shifted_by_fractions_of_the_torso():
    dataset = FlicDataset(str(SHARED / 'flic' / 'valid.h5'), test_mode=True)
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]

    def shifted(fraction):
        samples = []
        for info in infos:
            torso = np.linalg.norm(info['keypoints'][0, 0] - info['keypoints'][0, 7])
            samples.append(
                dict(
                    gt_instances=info,
                    pred_instances=dict(
                        keypoints=info['keypoints'] + np.array([0, fraction * torso])
                    ),
                )
            )
        return evaluate(FlicPCK(), samples)

    inside, outside = shifted(0.199), shifted(0.201)
    assert inside['PCK'] == inside['Elbow'] == 100 and outside['PCK'] == outside['Wrist'] == 0
    assert shifted(0.1049)['AUC'] == pytest.approx(100 * 0.095 / 0.2)
    half = infos[::2]
    samples = [
        dict(gt_instances=info, pred_instances=dict(keypoints=info['keypoints'] + 1000 * (i % 2)))
        for i, info in enumerate(half)
    ]
    assert evaluate(FlicPCK(), samples)['PCK'] == 50.0


def test_pck_of_the_box_takes_any_joints():
    """By hand: distances over the longer side; a joint without labels is a dash, no NaN."""
    metric = BoxPCK(thr=0.1)
    metric.dataset_meta = dict(keypoint_id2name={0: 'tip', 1: 'left_grip', 2: 'right_grip'})
    gt = np.zeros((2, 3, 2))
    shift = np.array([[4.0, 9.0, 0.0], [11.0, 21.0, 0.0]])
    pred = gt + np.stack([shift, np.zeros_like(shift)], axis=-1)
    visible = np.array([[1, 1, 0], [1, 1, 0]])
    samples = [make_sample(*person) for person in zip(pred, gt, visible)]
    for sample in samples:
        sample['gt_instances']['bboxes'] = np.array([[0, 0, 100, 50]], np.float32)
    metrics = evaluate(metric, samples)
    assert metrics['PCK'] == 50 and metrics['PCK@0.05'] == 25 and metrics['PCK-mean'] == 50
    # correct from thresholds 0.04, 0.09, 0.11 on: trapezoids over 0 ... 0.2
    area = sum(0.2 - t + 0.005 for t in (0.04, 0.09, 0.11)) / 4 / 0.2 * 100
    assert metrics['AUC'] == pytest.approx(area)
    table = metric.table(
        pck_curve(np.array([[0.04, 0.09, np.nan]]), threshold_grid(0.2, (0.1,))), metrics
    )
    assert table.splitlines()[3].split() == ['PCK', '100.00', '100.00', '-']
    assert 'nan' not in table


def test_a_person_without_a_box_is_left_out():
    metric = BoxPCK()
    metric.dataset_meta = dict(keypoint_id2name={0: 'tip'})
    sample = make_sample(np.zeros((1, 2)), np.zeros((1, 2)), np.ones(1))
    boxes = np.array([[0, 0, 100, 50]]), np.array([[7, 7, 7, 7]])
    samples = [dict(sample, gt_instances=dict(sample['gt_instances'], bboxes=b)) for b in boxes]
    assert evaluate(metric, samples)['PCK'] == 100 and len(metric.results) == 0
