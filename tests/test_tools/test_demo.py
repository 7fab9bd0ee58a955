"""``make demo`` from data to picture, tiny, outside the repository."""
import json
import os
import subprocess
import sys

import cv2


def test_every_step_and_its_summary(repository, tmp_path):
    done = subprocess.run(
        [sys.executable, repository / 'tools/demo.py', '--train', '8', '--val', '24', '--seed', '3',
         '--difficulty', 'easy', '--cfg-options', 'model.backbone.channels=8',
         'train_cfg.max_epochs=1', 'train_dataloader.batch_size=4'],
        cwd=tmp_path, env=os.environ | {'OMP_NUM_THREADS': '1'}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    root = tmp_path / 'work_dirs/demo'
    summary = json.loads((root / 'summary.json').read_text())
    assert set(summary) == {'protocol', 'metrics', 'seconds', 'cpus'}
    protocol = summary['protocol']
    assert protocol['config'] == 'configs/demo/msspose_synthetic.py'
    assert protocol['cfg_options'][:2] == ['randomness.seed=3', 'model.backbone.channels=8']
    assert protocol['checkpoint'] == 'epoch_1.pth'
    assert {key: protocol['data'][key] for key in ('train', 'val', 'seed', 'difficulty')} == dict(
        train=8, val=24, seed=3, difficulty='easy')
    assert list(summary['seconds']) == [
        'data', 'training', 'evaluation: metrics', 'pictures']
    assert all(seconds > 0 for seconds in summary['seconds'].values())
    assert summary['metrics'] == json.loads((root / 'metrics.json').read_text())
    assert 0 <= summary['metrics']['PCKh'] <= 100
    picture = cv2.imread(str(root / 'predictions.png'))
    assert picture.shape == (4 * 320, 6 * 320, 3)  # 24 persons, six in a row
    assert picture.std() > 10
    assert done.stdout.splitlines()[-1].startswith(
        f'PCKh@0.5 on 24 unseen synthetic people: {summary["metrics"]["PCKh"]:.1f} (')
