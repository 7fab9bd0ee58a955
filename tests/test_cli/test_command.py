"""``mspose``: its list of commands, and that starting one imports no other."""

import subprocess
import sys
from pathlib import Path

import pytest

import mspose_command
from mspose_plugin import cli

ROOT = Path(mspose_command.__file__).parent


def python(*args, **kwargs):
    """Run Python anew."""
    return subprocess.run([sys.executable, *args], capture_output=True, text=True, **kwargs)


@pytest.mark.parametrize('argv', [[], ['--help'], ['-h']])
def test_help_lists_every_command(capsys, argv):
    mspose_command.main(argv)
    lines = capsys.readouterr().out.splitlines()
    for name, what in mspose_command.COMMANDS.items():
        assert any(line.split() == [name, *what.split()] for line in lines)


def test_every_command_has_a_module_and_every_module_of_a_command_is_listed():
    folder = Path(cli.__file__).parent
    modules = {path.stem.replace('_', '-') for path in folder.glob('*.py')}
    assert set(mspose_command.COMMANDS) <= modules
    found = {path for path in folder.glob('*.py') if '\ndef add_arguments(' in path.read_text()}
    assert {path.stem.replace('_', '-') for path in found} == set(mspose_command.COMMANDS)


def test_help_imports_nothing_slow(tmp_path):
    code = 'import mspose_command, sys; mspose_command.main(["-h"]); print("\\n".join(sys.modules))'
    loaded = python('-c', code).stdout.split()
    assert 'mspose_command' in loaded
    assert not {'torch', 'numpy', 'mmengine', 'mspose_plugin'} & set(loaded)


@pytest.mark.parametrize('command', mspose_command.COMMANDS)
def test_the_help_of_a_command(capsys, command):
    with pytest.raises(SystemExit) as e:
        mspose_command.main([command, '--help'])
    out = capsys.readouterr().out
    assert not e.value.code and out.startswith(f'usage: mspose {command} ') and '``' not in out


def test_as_a_module(tmp_path):
    done = python('-m', 'mspose_plugin', 'train', 'nowhere', cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith('error: config nowhere: no such file')
    assert not list(tmp_path.iterdir())


def test_a_command_keeps_freed_memory(monkeypatch, capsys):
    told = []
    monkeypatch.setattr('mspose_plugin.utils.memory.keep_freed_memory', lambda: told.append(True))
    with pytest.raises(SystemExit):
        mspose_command.main(['train', '--help'])
    assert told == [True]


def test_version(capsys):
    mspose_command.main(['--version'])
    assert capsys.readouterr().out[0].isdigit()
