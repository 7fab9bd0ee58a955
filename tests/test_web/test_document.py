"""``docs/web.md``: its code runs, its commands are those of the command line."""

import argparse
import os
import re
import shlex

import cv2
import numpy as np
import tiny_run

from mspose_plugin.cli import web

TEXT = (tiny_run.REPOSITORY / 'docs/web.md').read_text()


def test_its_code_runs(tmp_path, monkeypatch, capsys):
    config, weights = tiny_run.write_model(tmp_path, deviation=0.2)
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    cv2.imwrite('photo.jpg', noise)
    (code,) = re.findall('```python\n(.*?)```', TEXT, re.DOTALL)
    exec(code.replace('CONFIG', config).replace('CHECKPOINT', weights), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == [
        "{'stack 1': [(2, 2), (4, 4), (8, 8), (16, 16)]}",
        '(1, 5, 16) (1, 5, 16)',
    ]


def test_its_commands_parse(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'CHECKPOINT').touch()
    parser = argparse.ArgumentParser()
    web.add_arguments(parser)
    lines = [line for line in TEXT.splitlines() if line.startswith('mspose web')]
    assert len(lines) == 2
    for line in lines:
        parser.parse_args(shlex.split(line)[2:])
    known = set(re.findall(r'--[a-z-]+', parser.format_help()))
    assert set(re.findall(r'--[a-z][a-z-]+', TEXT)) <= known


def test_its_picture_is_small():
    assert os.path.getsize(tiny_run.REPOSITORY / 'docs/web.jpg') <= 150_000
