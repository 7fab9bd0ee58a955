"""``mspose gpu-check``, quick and on the CPU, from its parts to its table."""

import json
import re
from pathlib import Path

import pytest
import streams
import tiny_run
from gpu_settings import settings

import mspose_command
from mspose_plugin.gpu_check import running

ROOT = Path(__file__).resolve().parents[2]
INFERENCER = """
dataset_type = 'ZeroBasedMpiiDataset'
data_mode = 'topdown'
model['type'] = 'ConditionalTopdownPoseEstimator'
"""
BROKEN = "\nmodel['head'].update(type='MSRHead', num_keypoints=3)"


def check(*words):
    """Run the command; return its exit status."""
    with pytest.raises(SystemExit) as e:
        mspose_command.main(['gpu-check', '--device', 'cpu', '--quick', *words])
    return e.value.code


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return an empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')  # which the command sets
    return tmp_path


def test_every_part_has_rows_and_a_failure_stops_none(folder, capsys):
    tiny = tiny_run.write_config(folder / 'tiny.py', folder, INFERENCER)
    broken = tiny_run.write_config(folder / 'broken.py', folder, BROKEN)
    options = ['--config', tiny, '--configs', broken, tiny, '--minutes', 20, '--out', 'out/a.json']
    assert check(*map(str, options)) == 1
    result = json.loads((folder / 'out/a.json').read_text())
    assert 'head.num_keypoints' in (folder / 'out/configs.log').read_text()  # with its traceback
    parts = result['parts']
    order = ['environment', 'configs', 'data', 'throughput', 'training', 'inference']
    assert list(parts) == order and result['goals'] == []
    states = {name: [r['state'] for r in rows] for name, rows in parts.items()}
    assert states['configs'] == ['failed', 'ok']
    assert 'head.num_keypoints' in parts['configs'][0]['why']
    assert states['data'] == states['training'] == ['ok'] and states['inference'] == ['ok'] * 4
    assert set(states['throughput']) == {'ok', 'skipped'}
    machine = parts['environment'][0]['figures']
    assert machine['torch'] and machine['commit'] and result['settings']['seed'] == 0
    trained = parts['training'][0]['figures']
    assert trained['steps'] > 0 and 0 <= trained['pckh'] <= 100 and trained['data_percent'] > 0
    table = capsys.readouterr().out.rpartition('\n\n')[2]
    for name, rows in parts.items():
        for row in rows:
            assert re.search(rf'{name} +{re.escape(row["what"])} +.* {row["state"]}', table)


def test_a_part_that_does_not_end_is_a_row_and_the_next_one_follows(folder, monkeypatch):
    parts = dict(configs=(streams.endless, 0.01), inference=(streams.short, 0.99))
    monkeypatch.setattr(running, 'PARTS', parts)
    monkeypatch.setattr(running, '_LEAST', 0)
    given = settings(folder=str(folder), logs=str(folder), config='second')
    *_, (name, ended), (other, row) = running.run(given, ['configs', 'inference'], 60)
    assert name == 'configs' and ended['state'] == 'failed'
    assert 'did not end in its time' in ended['why']
    assert (other, row['what'], row['state']) == ('inference', 'second', 'ok')
    *_, (_, ended) = running.run(given, ['configs'], 0.01)
    assert (ended['state'], ended['why']) == ('skipped', 'no time left')


@pytest.mark.parametrize(
    'words, said',
    [
        (['--recipes', 'adamant'], '--recipes adamant'),
        (['--configs', 'nowhere'], 'config nowhere'),
        (['--parts', 'everything'], '--parts'),
        (['--device', 'tpu'], '--device'),
    ],
)
def test_wrong_arguments_are_one_line(folder, capsys, words, said):
    assert check(*words) == 2
    err = capsys.readouterr().err
    assert err.startswith('error: ') and said in err and err.count('\n') == 1
    assert not list(folder.iterdir())


def test_the_script_is_the_command():
    script = (ROOT / 'tools/gpu_check.sh').read_text()
    assert 'mspose_command.py gpu-check "$@"' in script
