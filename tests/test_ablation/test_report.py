"""Tables from result files of two persons with two joints."""

import json

import numpy as np
import pytest
from mmengine.config import Config

from mspose_plugin.ablation.persons import describe
from mspose_plugin.ablation.plan import Plan, Variant
from mspose_plugin.ablation.report import markdown, read_report
from mspose_plugin.evaluation.metrics import pack_bits
from mspose_plugin.utils.errors import InputError

HITS = [[True, False], [False, False]]


@pytest.fixture
def plan(tmp_path):
    """Return a plan of two rows; the second has a seed that diverged."""
    persons = dict(
        joints=['hip', 'nose'],
        scored=[0, 1],
        groups=dict(Hip=[0], Nose=[1]),
        ids=[0, 1],
        labelled=pack_bits(np.array([[True, False], [True, False]])),
    )
    (tmp_path / 'persons.json').write_text(json.dumps(persons))
    made = dict(commit='a', torch='2', device='CPU', date='2026-01-01', seconds=60.0)
    whole = dict(made, metrics=dict(AUC=40.0), steps=9, hits=pack_bits(np.array(HITS)))
    diverged = dict(made, metrics={}, diverged='the loss is not finite')
    for name, seed, result in (('a', 0, whole), ('b', 0, whole), ('b', 1, diverged)):
        path = tmp_path / f'{name}_{seed}.json'
        path.write_text(json.dumps(dict(result, variant=name, seed=seed)))
    variants = dict(a=Variant('a', {}), b=Variant('b', {}, against=('a',)))
    return Plan('plan.py', variants)


def cells(text, row):
    """Return the cells of every line of a row."""
    lines = [line.strip('| ').split(' | ') for line in text.splitlines()]
    return [line for line in lines if line[0] == row]


def test_a_diverged_seed_is_counted_apart(plan, tmp_path):
    text = markdown(read_report(plan, tmp_path))
    assert cells(text, 'a')[0][:5] == ['a', '1', '9', '1.0', '50.00']
    assert cells(text, 'b')[0][:5] == ['b', '1, 1 diverged', '9', '1.0', '50.00']
    assert cells(text, 'b')[0][7] == '40.00'


def test_minutes_of_a_resumed_row_are_not_known(plan, tmp_path):
    result = json.loads((tmp_path / 'a_0.json').read_text())
    (tmp_path / 'a_0.json').write_text(json.dumps(dict(result, seconds=None)))
    (tmp_path / 'b_2.json').write_text(json.dumps(dict(result, variant='b', seconds=None, seed=2)))
    text = markdown(read_report(plan, tmp_path))
    assert cells(text, 'a')[0][3] == '-' and cells(text, 'b')[0][3] == '1.0'


def test_the_footer_says_all_that_results_were_made_with(plan, tmp_path):
    result = json.loads((tmp_path / 'b_0.json').read_text())
    made = dict(torch='3', device='GPU', date='2026-01-02', commit='b')
    (tmp_path / 'b_0.json').write_text(json.dumps(dict(result, **made)))
    last = markdown(read_report(plan, tmp_path)).splitlines()[-1]
    said = 'commit a, b, torch 2, 3, CPU, GPU, 2026-01-01, 2026-01-02.'
    assert last == f'2 unseen persons on 2 images; {said}'


def test_persons_of_one_image_are_drawn_together(plan, tmp_path):
    """Of one image every draw is the same; of two it may be one person twice."""
    text = markdown(read_report(plan, tmp_path))
    assert cells(text, 'a')[0][5] == '0.00 to 100.00'
    persons = json.loads((tmp_path / 'persons.json').read_text())
    (tmp_path / 'persons.json').write_text(json.dumps(dict(persons, images=[0, 0])))
    text = markdown(read_report(plan, tmp_path))
    assert cells(text, 'a')[0][5] == '50.00 to 50.00' and '2 unseen persons on 1 images' in text


def test_images_are_numbered_as_the_annotations_name_them(tmp_path):
    people = [dict(image=name, scale=1.0) for name in ('b.jpg', 'a.jpg', 'b.jpg')]
    (tmp_path / 'mpii.json').write_text(json.dumps(people))
    (tmp_path / 'persons.json').write_text(json.dumps(dict(ids=[0, 1, 2])))
    dataset = dict(data_root=str(tmp_path), ann_file='mpii.json')
    cfg = Config(dict(test_dataloader=dict(dataset=dataset)))
    assert describe(str(tmp_path / 'persons.json'), cfg)['images'] == [0, 1, 0]
    box = dict(keypoints=[5, 5, 2], bbox=[0, 0, 9, 9])
    people = [dict(box, id=i, image_id=image) for i, image in enumerate((7, 3, 7))]
    (tmp_path / 'coco.json').write_text(json.dumps(dict(annotations=people)))
    cfg.test_dataloader.dataset.ann_file = 'coco.json'
    assert describe(str(tmp_path / 'persons.json'), cfg)['images'] == [0, 1, 0]


def test_results_without_persons_are_not_called_missing(plan, tmp_path):
    for path in tmp_path.glob('?_?.json'):
        result = json.loads(path.read_text())
        result.pop('hits', None)
        path.write_text(json.dumps(result))
    with pytest.raises(InputError, match='say nothing of persons; a plan needs PCKhAUC or BoxPCK'):
        read_report(plan, tmp_path)


def test_joints_that_are_never_labelled_have_a_dash(plan, tmp_path):
    text = markdown(read_report(plan, tmp_path))
    assert cells(text, 'a')[0][-2:] == ['50.0', '-'] and 'nan' not in text
