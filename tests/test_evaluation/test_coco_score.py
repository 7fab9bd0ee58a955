"""The score of a person with MLPE's offset, on a COCO file of two persons."""

import json

import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.evaluation import CocoMetric

from mspose_plugin.evaluation import RescoredCocoMetric


def annotations(path):
    """Write one image with two persons."""
    people = [
        dict(
            id=i + 1,
            image_id=7,
            category_id=1,
            iscrowd=0,
            area=2000.0,
            num_keypoints=17,
            bbox=[20.0 * i, 0.0, 40.0, 50.0],
            keypoints=[v for k in range(17) for v in (20.0 * i + 2 * k, 3.0 * k, 2)],
        )
        for i in range(2)
    ]
    path.write_text(
        json.dumps(
            dict(
                images=[dict(id=7, width=100, height=60)],
                annotations=people,
                categories=[dict(id=1, name='person')],
            )
        )
    )
    return people


def evaluate(tmp_path, metric, confidences):
    """Evaluate perfect predictions of these confidences; return metrics and written results."""
    people = annotations(tmp_path / 'gt.json')
    metric = metric(ann_file=str(tmp_path / 'gt.json'), outfile_prefix=str(tmp_path / 'out'))
    metric.dataset_meta = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/coco.py'))
    samples = [
        dict(
            id=p['id'],
            img_id=7,
            gt_instances=dict(bbox_scores=np.array([score])),
            pred_instances=dict(
                keypoints=np.reshape(p['keypoints'], (1, 17, 3))[..., :2],
                keypoint_scores=np.array([values]),
            ),
        )
        for p, score, values in zip(people, (0.9, 0.6), confidences)
    ]
    metric.process({}, samples)
    kept = [pred['keypoint_scores'].copy() for pred, _ in metric.results]
    found = metric.evaluate(2)
    assert all(np.array_equal(a, b[None]) for a, b in zip(kept, confidences))
    return found, json.loads((tmp_path / 'out.keypoints.json').read_text())


def test_score_against_the_formula(tmp_path):
    confidences = np.random.default_rng(0).uniform(-0.1, 1, (2, 17))
    found, results = evaluate(
        tmp_path, lambda **kw: RescoredCocoMetric(nms_mode='none', **kw), confidences
    )
    assert found['coco/AP'] == pytest.approx(1)
    for result, box, values in zip(results, (0.9, 0.6), confidences):
        # every keypoint enters, also those below 0
        assert result['score'] == pytest.approx(box * np.mean(values + 0.5))
        assert np.reshape(result['keypoints'], (17, 3))[:, 2] == pytest.approx(values)


def test_threshold_and_no_offset_are_mmposes(tmp_path):
    confidences = np.random.default_rng(1).uniform(0, 1, (2, 17))
    want = evaluate(tmp_path, lambda **kw: CocoMetric(keypoint_score_thr=0.4, **kw), confidences)
    found = evaluate(
        tmp_path,
        lambda **kw: RescoredCocoMetric(score_offset=0.0, keypoint_score_thr=0.4, **kw),
        confidences,
    )
    assert found == want
    _, results = evaluate(
        tmp_path, lambda **kw: RescoredCocoMetric(keypoint_score_thr=0.4, **kw), confidences
    )
    assert results[0]['score'] == pytest.approx(
        0.9 * (confidences[0][confidences[0] > 0.4] + 0.5).mean()
    )
