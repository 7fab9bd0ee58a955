"""Every block of docs/export.md runs."""

import argparse
import re
import shlex
import shutil
from pathlib import Path

import pytest

import mspose_command
from mspose_plugin.cli import export as export_command
from mspose_plugin.cli import test as test_command

pytest.importorskip('onnxruntime', reason='the extra export is not installed')
TEXT = (Path(__file__).parents[2] / 'docs/export.md').read_text()


def blocks(language):
    return re.findall(rf'```{language}\n(.*?)```', TEXT, re.DOTALL)


def test_commands_and_code(export, tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ('photo.jpg', 'person.jpg'):
        shutil.copy(next((tiny / 'mpii/images').iterdir()), name)
    tested = []
    monkeypatch.setattr(test_command, 'main', lambda args: tested.append(args.checkpoint))
    for block in blocks('bash')[:1]:
        for line in block.splitlines():
            _, command, config, checkpoint, *rest = shlex.split(line)
            assert (command, config, checkpoint) == ('export', 'CONFIG', 'CHECKPOINT')
            name = rest[rest.index('--out') + 1]
            if '--precision' in rest:  # of random weights every bit counts
                parser = argparse.ArgumentParser()
                export_command.add_arguments(parser)
                assert parser.parse_args([config, str(tiny / 'a.pth'), *rest]).out == name
                continue
            ending = name.rpartition('.')[2]
            made = Path(export(f'a.{ending}', *rest[2:]))
            for part in made.parent.glob('a.*'):
                shutil.copy(part, name.replace(ending, part.suffix[1:]))
    for block in blocks('bash')[1:]:
        for line in block.splitlines():
            words = shlex.split(line.replace('CONFIG', str(tiny / 'tiny.py')))
            mspose_command.main(words[1:])
    assert tested == ['model.onnx'] and (tmp_path / 'predictions/photo.jpg').is_file()
    capsys.readouterr()
    for block in blocks('python'):
        exec(compile(block, 'docs/export.md', 'exec'), {})
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names.count('right_ankle') == 2
