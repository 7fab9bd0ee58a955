"""The tour's notebook, made from ``docs/tour.md``, runs from top to bottom: with few people."""

import json
import re
import shlex

import cv2
from tiny_run import REPOSITORY, run

MSPOSE = REPOSITORY / 'mspose_command.py'
FEWER = {'400': '16', '40': '4', '160': '96'}
"""Number of people and size of images -> those of the test."""


def test_notebook(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((REPOSITORY / 'docs/tour.ipynb').read_text())
    assert notebook['nbformat'] == 4
    variables: dict = {}
    commands = []
    for cell in notebook['cells']:
        code = ''.join(cell['source'])
        if cell['cell_type'] != 'code':
            assert '```' not in code
        elif code.startswith('!mspose '):
            (words,) = (shlex.split(line.removeprefix('!mspose ')) for line in code.splitlines())
            commands.append(words[0])
            if words[0] == 'synthesize':
                words = [FEWER.get(word, word) for word in words]
            done = run([MSPOSE, *words], tmp_path)
            assert done.status == 0, done.err
        else:
            exec(compile(code, 'docs/tour.ipynb', 'exec'), variables)
    assert commands == ['synthesize', 'train', 'test', 'predict']
    out = capsys.readouterr().out
    assert '20 images' in out and re.search(r'PCKh \d', out)
    assert cv2.imread('tour/people.jpg').shape == (160, 640, 3)
    assert cv2.imread('tour/drawn.jpg') is not None
    assert len(list((tmp_path / 'tour/drawn').glob('*.jpg'))) == 20
