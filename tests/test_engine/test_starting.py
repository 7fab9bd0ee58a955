"""A run that does not get to its first step leaves one line, and the folders as they were."""

import argparse
import os

import pytest

from mspose_plugin.cli.arguments import add_cfg_options
from mspose_plugin.engine.hooks.work_dir_lock_hook import LOCK_FILE, lock_work_dir
from mspose_plugin.engine.starting import StartingRunner, starting
from mspose_plugin.utils.errors import InputError


def config(work_dir):
    """Return what of a run config says where it goes."""
    return argparse.Namespace(work_dir=str(work_dir), filename='a/tiny.py')


def write_like_a_runner(work_dir):
    """Write what a Runner writes before its first step."""
    runner = StartingRunner.latest = StartingRunner.__new__(StartingRunner)
    runner._log_dir = str(work_dir / '20260101_000000')
    os.makedirs(runner._log_dir)
    return runner


def test_what_a_run_made_is_removed_and_nothing_else(tmp_path):
    work_dir = tmp_path / 'new' / 'run'
    said = r'^config a/tiny.py: KeyError: .lr. \(in test_what_a_run_made'
    with pytest.raises(InputError, match=said):
        with starting(config(work_dir)):
            lock = lock_work_dir(work_dir)
            write_like_a_runner(work_dir)
            raise KeyError('lr')
    lock.release()
    assert os.listdir(tmp_path) == []


def test_a_work_directory_that_was_there_keeps_its_files(tmp_path):
    (tmp_path / '20250101_000000').mkdir()
    for name in ('tiny.py', 'epoch_1.pth', LOCK_FILE):
        (tmp_path / name).write_text('old')
    with pytest.raises(InputError), starting(config(tmp_path)):
        write_like_a_runner(tmp_path)
        raise KeyError('lr')
    assert sorted(os.listdir(tmp_path)) == ['20250101_000000', 'epoch_1.pth', 'tiny.py', LOCK_FILE]


def test_another_process_s_lock_and_files_stay(tmp_path):
    """Two trainings start together in a new folder; the second one is refused."""
    work_dir = tmp_path / 'run'
    with pytest.raises(InputError, match='in use'), starting(config(work_dir)):
        work_dir.mkdir()
        (work_dir / LOCK_FILE).write_text('process 1 on another')
        raise InputError('in use')
    assert os.listdir(work_dir) == [LOCK_FILE]


def test_after_a_step_errors_pass_and_files_stay(tmp_path):
    with pytest.raises(KeyError), starting(config(tmp_path / 'run')):
        write_like_a_runner(tmp_path / 'run').stepped = True
        raise KeyError('lr')
    assert os.listdir(tmp_path / 'run') == ['20260101_000000']


@pytest.mark.parametrize(
    'text, value',
    [
        ('/my data/set', '/my data/set'),
        ('"/my  data"', '/my  data'),
        ('/a (old) set', '/a (old) set'),
        ('[my data, b ,c d]', ['my data', 'b', 'c d']),
        ('1, 2', [1, 2]),
        ('[(1, 2), [x y]]', [(1, 2), ['x y']]),
        ('1e-3', 1e-3),
        ('true', True),
        ('None', None),
        (' 5 ', 5),
        ('', ''),
        ('()', ()),
    ],
)
def test_config_options_keep_spaces(text, value):
    parser = argparse.ArgumentParser()
    add_cfg_options(parser)
    assert parser.parse_args(['--cfg-options', f'a.b={text}']).cfg_options == {'a.b': value}
