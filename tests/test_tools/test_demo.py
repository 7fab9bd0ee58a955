"""``make demo`` from data to picture, tiny, outside the repository."""

import json
import re
from types import SimpleNamespace

import cv2
import pytest
import tiny_run

from mspose_plugin.cli import running
from tools import demo

SHRUNK = dict(
    msspose=['model.backbone.channels=8'],
    mlpe=[
        'model.backbone.base_channels=4',
        'model.neck.in_channels=(16,32,64,128)',
        'model.neck.channels=8',
        'model.head.channels=8',
    ],
)
CONFIGS = {name: f'configs/demo/{name}_synthetic_timed.py' for name in SHRUNK}
EVALUATIONS = dict(msspose=['metrics'], mlpe=['metrics', 'metrics_detections'])


@pytest.fixture
def forked(monkeypatch, tmp_path):
    """Fork the demo's steps from the server of processes, in place of starting Python anew."""
    steps = []

    def run(command, env):
        done = tiny_run.run(command[1:], tmp_path, **env)
        steps.append(done)
        return SimpleNamespace(returncode=done.status)

    monkeypatch.setattr(demo.subprocess, 'run', run)
    monkeypatch.chdir(tmp_path)
    return steps


@pytest.mark.parametrize('name', list(SHRUNK))
def test_every_step_and_its_summary(name, forked, tmp_path, capsys):
    data = ['--train', '12', '--val', '24', '--seed', '3', '--difficulty', 'easy']
    options = [*SHRUNK[name], 'train_dataloader.batch_size=4']
    running.run(demo, [name, *data, '--minutes', '0.1', '--cfg-options', *options])
    assert all(done.status == 0 for done in forked)
    (root,) = (tmp_path / 'work_dirs').iterdir()
    summary = json.loads((root / 'summary.json').read_text())
    assert set(summary) == {'protocol', 'minutes', *EVALUATIONS[name], 'seconds', 'cpus'}
    protocol = summary['protocol']
    assert protocol['config'] == CONFIGS[name]
    assert protocol['cfg_options'][:2] == ['randomness.seed=3', SHRUNK[name][0]]
    number = int(re.fullmatch(r'iter_(\d+).pth', protocol['checkpoint'])[1])
    assert number > 1
    assert {key: protocol['data'][key] for key in ('train', 'val', 'seed', 'difficulty')} == dict(
        train=12, val=24, seed=3, difficulty='easy'
    )
    assert list(summary['seconds']) == [
        'data',
        'training',
        *(f'evaluation: {e}' for e in EVALUATIONS[name]),
        'pictures',
    ]
    assert all(seconds > 0 for seconds in summary['seconds'].values())
    for evaluation in EVALUATIONS[name]:
        assert summary[evaluation] == json.loads((root / f'{evaluation}.json').read_text())
    page = (root / 'index.html').read_text()
    assert all(
        text in page for text in ('predictions.png', protocol['checkpoint'], '12 drawn people')
    )
    picture = cv2.imread(str(root / 'predictions.png'))
    assert picture.shape == (4 * 320, 6 * 320, 3)  # 24 persons, six in a row
    assert picture.std() > 10
    last = capsys.readouterr().out.splitlines()[-1]
    if name == 'msspose':
        assert 0 <= summary['metrics']['PCKh'] <= 100
        assert last.startswith(
            f'PCKh@0.5 on 24 unseen synthetic people: {summary["metrics"]["PCKh"]:.1f} ('
        )
    else:
        assert last.startswith(
            'AP on 24 unseen images of synthetic people: '
            f'{summary["metrics"]["coco/AP"]:.3f} with ground-truth boxes'
        )
