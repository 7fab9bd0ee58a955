"""The weights that come with the package, on people that they have not seen."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from mspose_plugin import PosePredictor
from mspose_plugin.apis.models import find_model
from mspose_plugin.synthetic import DIFFICULTIES, render_scene
from tools.measure_photographs import measure

ROOT = Path(__file__).resolve().parents[2]
PHOTOGRAPHS = ROOT.parent / 'shared/data'


@pytest.fixture(scope='module')
def predictor():
    return PosePredictor(device='cpu')


def test_the_file_is_small_and_holds_weights_alone():
    _, path = find_model('synthetic')
    assert Path(path).stat().st_size <= 8e6
    with safe_open(path, 'pt') as file:
        kinds = {file.get_tensor(name).dtype.itemsize for name in file.keys()}
    assert kinds == {2, 8}  # float16, and the counters of batch norm


def test_joints_of_people_that_it_has_not_seen(predictor):
    hits, joints = 0, 0
    for seed in range(12):
        scene = render_scene(np.random.default_rng(10_000 + seed), difficulty=DIFFICULTIES['easy'])
        (person,) = scene.people
        x, y = np.nonzero(scene.silhouette(person))[::-1]
        result = predictor(scene.image, [[x.min(), y.min(), x.max(), y.max()]])
        truth = dict(zip(predictor.names, result.keypoints[0]))
        for name, k in (
            ('left_wrist', 9),
            ('right_ankle', 16),
            ('left_shoulder', 5),
            ('right_knee', 14),
        ):
            distance = np.linalg.norm(truth[name] - person.keypoints[k])
            hits += distance < 0.5 * 0.75 * person.head_length
            joints += 1
    assert hits > 0.7 * joints


@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason='needs shared/data beside the repository')
@pytest.mark.parametrize('kind', ['mpii', 'coco'])
def test_the_figures_of_the_first_screen(predictor, kind):
    said = json.loads((ROOT / 'results/photographs/measured.json').read_text())[kind]
    found, _ = measure(predictor, kind, str(PHOTOGRAPHS / f'{kind}_sample/test_{kind}.json'))
    assert found['joints'] == said['joints'] and found['persons'] == said['persons']
    assert abs(found['hits'] - said['hits']) <= 1  # a joint at the limit, on another machine
