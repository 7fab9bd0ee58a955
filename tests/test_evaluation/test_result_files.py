"""Predictions read back from files, and what the kinds of errors in them cost."""

import contextlib
import io
import json
import pickle

import bad_inputs
import numpy as np
import pytest
from xtcocotools.coco import COCO
from xtcocotools.cocoeval import COCOeval

from mspose_plugin.evaluation import pckh
from mspose_plugin.evaluation.error_summary import summarize
from mspose_plugin.evaluation.pose_errors import KINDS, classify
from mspose_plugin.evaluation.result_files import read_predictions
from mspose_plugin.synthetic.body import KEYPOINTS
from mspose_plugin.utils.errors import InputError


@pytest.fixture(scope='module')
def dump(tmp_path_factory):
    folder = tmp_path_factory.mktemp('results')
    bad_inputs.write_results(folder / 'a.pkl', folder / 'a.json')
    return folder


def test_a_dump_measures_as_its_evaluator_did(dump):
    found = read_predictions(str(dump / 'a.pkl'))
    written = json.loads((dump / 'a.json').read_text())
    assert found.measures(found.pred) == pytest.approx(written['metrics'])
    errors = classify(found.pred, found.own, found.persons)
    scored = errors.kinds[:, list(found.metric.scored)]
    # good and jitter together are PCKh
    share = 100 * np.isin(scored, [0, 1]).mean()
    assert share == pytest.approx(written['metrics']['PCKh'])
    assert not (errors.kinds == KINDS.index('swap')).any()
    summary = summarize(found, errors)
    inverted = KINDS.index('inversion')
    for k, name in enumerate(found.persons.names):
        assert summary['joints'][name]['inversion'] == (errors.kinds[:, k] == inverted).sum()
    assert summary['taken_for']['right_ankle']['left_ankle'] == 30
    gains = {k: m['PCKh'] - summary['metrics']['PCKh'] for k, m in summary['corrected'].items()}
    assert gains['jitter'] == 0 and gains['inversion'] > 5
    assert sum(gains.values()) == pytest.approx(100 - summary['metrics']['PCKh'])


def test_eleven_joints_of_own_data_are_not_flic(tmp_path):
    truth = dict(keypoints=np.zeros((1, 11, 2)), keypoints_visible=np.ones((1, 11)))
    sample = dict(id=0, gt_instances=truth, pred_instances=dict(keypoints=np.zeros((1, 11, 2))))
    own = dict(sample, raw_ann_info=dict(keypoints=[0.0] * 33))
    (tmp_path / 'own.pkl').write_bytes(pickle.dumps([own]))
    with pytest.raises(InputError, match='neither MPII .* nor FLIC; of COCO give the result file'):
        read_predictions(str(tmp_path / 'own.pkl'))


@pytest.fixture
def crowd(tmp_path):
    """Write COCO annotations of pairs of people and detections with errors of every kind."""
    rng = np.random.default_rng(0)
    body = rng.uniform(0, 200, (17, 2))
    anns, results, expected = [], [], []
    wrist, other = (KEYPOINTS.index(f'{side}_wrist') for side in ('left', 'right'))
    for image in range(10):
        people = [body + (20, 20), body + (150, 20)]
        for person in people:
            labelled = np.column_stack([person, np.full(17, 2)])
            labelled[image] = 0
            box = [*person.min(axis=0), *np.ptp(person, axis=0)]
            anns.append(
                dict(
                    id=len(anns), image_id=image, category_id=1, bbox=box, iscrowd=0,
                    area=box[2] * box[3] * 0.3, num_keypoints=16,
                    keypoints=labelled.ravel().tolist(),
                )
            )  # fmt: skip
        found = people[0].copy()
        found[wrist] = people[0][other]
        found[15] = people[1][15]
        found[16] += 900
        expected.append(dict(inversion=wrist, swap=15, miss=16))
        for keypoints, score in ((found, 0.9), (people[1] + 1, 0.8), (people[1] + 500, 0.1)):
            values = np.column_stack([keypoints, np.ones(17)]).ravel().tolist()
            results.append(dict(image_id=image, category_id=1, keypoints=values, score=score))
    content = dict(
        images=[dict(id=i, width=400, height=300, file_name=f'{i}.jpg') for i in range(10)],
        annotations=anns,
        categories=[dict(id=1, name='person', keypoints=list(KEYPOINTS[:17]), skeleton=[])],
    )
    (tmp_path / 'truth.json').write_text(json.dumps(content))
    (tmp_path / 'found.json').write_text(json.dumps(results))
    return str(tmp_path / 'found.json'), str(tmp_path / 'truth.json'), expected


def test_coco(crowd):
    path, truth, expected = crowd
    found = read_predictions(path, truth)
    # the third detection of each image has no person
    assert found.rows.tolist() == [r for r in range(30) if r % 3 < 2]
    assert found.own.tolist() == list(range(20))
    errors = classify(found.pred, found.own, found.persons)
    for image, wrong in enumerate(expected):
        for kind, k in wrong.items():
            value = -1 if k == image else KINDS.index(kind)
            assert errors.kinds[2 * image, k] == value
        assert errors.kinds[2 * image, image] == -1  # not labelled
    assert (errors.kinds[1::2] <= 0).all()
    summary = summarize(found, errors)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(truth)
        run = COCOeval(coco, coco.loadRes(path), 'keypoints', found.sigmas)
        run.evaluate()
        run.accumulate()
        run.summarize()
    assert summary['metrics']['AP'] == pytest.approx(100 * run.stats[0])
    assert summary['swaps'] and set(summary['corrected']) == {'inversion', 'swap', 'miss'}
    for metrics in summary['corrected'].values():
        assert metrics['AP'] > summary['metrics']['AP']
    everything = np.where((errors.kinds > 0)[..., None], found.persons.keypoints[found.own], 0)
    everything += np.where((errors.kinds > 0)[..., None], 0, found.pred)
    assert found.measures(everything)['AP'] == pytest.approx(100)


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(results=[]), 'list of results'),
        (dict(results=[dict(image_id=0, keypoints=[1, 2], score=1)]), '51 numbers'),
        (dict(results=[dict(image_id=99, keypoints=[0.0] * 51, score=1)]), 'image_id'),
        (dict(truth=[]), 'annotations, categories'),
        (dict(truth=dict(images=[1], annotations=[1], categories=[{}])), 'keypoints'),
    ],
)
def test_coco_files_that_do_not_fit(crowd, change, message, tmp_path):
    path, truth, _ = crowd
    if 'results' in change:
        (tmp_path / 'found.json').write_text(json.dumps(change['results']))
    else:
        (tmp_path / 'truth.json').write_text(json.dumps(change['truth']))
    with pytest.raises(InputError, match=message):
        read_predictions(path, truth)


def test_the_published_hourglass(shared_data):
    """Good and jitter together are its published PCKh; every fortieth joint is the other side's."""
    root = shared_data / 'mpii_val'
    found = read_predictions(
        str(root / 'newell_hourglass_val.h5'),
        str(root / 'mpii_val.json'),
        str(root / 'mpii_gt_val.mat'),
    )
    errors = classify(found.pred, found.own, found.persons)
    scored = errors.kinds[:, list(found.metric.scored)]
    labelled = (scored >= 0).sum()
    assert round(100 * np.isin(scored, [0, 1]).sum() / labelled, 3) == 88.035
    assert found.measures(found.pred) == pckh(
        found.pred, found.persons.keypoints, found.norm, found.persons.visible
    )
    counts = errors.counts().sum(axis=0)
    assert counts.tolist()[3] == 0 and 0.02 < counts[2] / counts.sum() < 0.03
