"""Every tool, every slot of its command line, every bad value: one line, nothing written.

A new tool is one line in :data:`TOOLS`; a new kind of bad input is one line in ``bad_inputs.py``.
"""
import re
from string import Formatter

import bad_inputs
import pytest
import tiny_run

TOOLS = {
    'draw_grid.py': '{model} {checkpoint} --out {picture} --num {count} --columns {count} '
                    '--size {size} --seed {seed} --device {device}',
    'count_peaks.py': '{model} {checkpoint} --out {json} --batch-size {count} --seed {seed} '
                      '--strong {fraction} --distance {count} --device {device}',
    'browse_masking.py': '{config} --out {picture} --num {count} --columns {count} --size {size} '
                         '--seed {seed}',
    'complexity.py': '{model} --out {json}',
    'benchmark.py parts': '{model} --out {json} --repeats {count} --batch {count} '
                          '--device {device}',
    'benchmark.py loss': '--out {json} --repeats {count} --batch {count} --stacks {count} '
                         '--input-size {size} --device {device}',
    'benchmark.py hourglass': '--channels {count} --input-size {size}',
    'demo.py': '--train {count} --val {count} --seed {seed} --cfg-options {option}',
    'demo.py mlpe': '--train {count} --cfg-options {option}',
}
"""Tool and sub-command, its command line with slots."""
OTHERS = [
    ('draw_grid.py', '{model} {checkpoint} --out {picture} --num 99', 'test set has 4'),
    ('draw_grid.py', '{model} {checkpoint} --out {picture} --num 90000', 'lower --num'),
    ('draw_grid.py', '{model} {checkpoint}', '--out'),
    ('draw_grid.py', '{model} {checkpoint} --out {picture} --size', 'expected one argument'),
    ('draw_grid.py', '{model} {checkpoint} --out {picture} --wrong', 'unrecognized'),
    ('count_peaks.py', '{model} {checkpoint} --cfg-options model.head.type=MSSHead', 'MSSHead'),
    ('complexity.py', '{model} --input-size 5 5', '5x5'),
    ('complexity.py', '{model} --input-size 64 99999999', '99999999'),
    ('benchmark.py hourglass', '--input-size 100', '--input-size 100'),
    ('demo.py', '--cfg-options model.backbone.num_stacks=many', 'model cannot be built'),
    ('demo.py', '--train 4 --cfg-options model.backbone=3', 'no model'),
]
"""Tool, command line and words of the message, for what is not a matter of one slot."""


def cases() -> list:
    """List (tool, words of the command line, the slot's place among them, bad value)."""
    found, seen = [], set()
    for tool, line in TOOLS.items():
        words = line.split()
        for at, word in enumerate(words):
            for _, slot, _, _ in Formatter().parse(word):
                if slot:
                    # an argument type is tried in full once, after that whether it is in use
                    once = slot in bad_inputs.ARGUMENT_TYPES and slot in seen
                    seen.add(slot)
                    for bad in bad_inputs.KINDS[slot][1][:1 if once else None]:
                        option = words[at - 1] if words[at - 1].startswith('--') else slot
                        found.append(pytest.param(tool, words, at, bad,
                                                  id=f'{tool} {option} {bad.value}'))
    return found


@pytest.fixture(scope='module')
def good(tmp_path_factory):
    """Return a folder with the files that good values name."""
    path = tmp_path_factory.mktemp('good')
    bad_inputs.write_good(path)
    return path


def run(tool, words, folder):
    """Run a tool in an empty folder and say how it ended and what it left there."""
    name, *command = tool.split()
    done = tiny_run.run([tiny_run.REPOSITORY / 'tools' / name, *command, *words], folder, 60)
    left = sorted(path.name for path in folder.iterdir() if path.name not in ('out.txt', 'err.txt'))
    return done, left


def filled(words, good):
    """Put good values into the slots."""
    values = {slot: str(good / value) if value.startswith('good') else value
              for slot, (value, _) in bad_inputs.KINDS.items()}
    return [word.format(**values) for word in words]


@pytest.mark.parametrize('tool, words, at, bad', cases())
def test_a_bad_value(tool, words, at, bad, good, tmp_path):
    inputs, folder = tmp_path / 'inputs', tmp_path / 'cwd'
    inputs.mkdir()
    words, value = filled(words, good), bad.value
    if bad.make:
        slot = re.search(r'{(\w+)}', TOOLS[tool].split()[at])[1]
        bad.make(inputs / value, good / bad_inputs.KINDS[slot][0])
        value = str(inputs / value)
    words[at] = value
    done, left = run(tool, words, folder)
    assert bad.words in done.error
    assert not left


@pytest.mark.parametrize('tool, line, expected', OTHERS)
def test_bad_command_lines(tool, line, expected, good, tmp_path):
    done, left = run(tool, filled(line.split(), good), tmp_path)
    assert expected in done.error
    assert not left


@pytest.mark.parametrize('tool', [tool for tool in TOOLS if not tool.startswith('demo')])
def test_the_good_values_are_good(tool, good, tmp_path):
    """Else the table would show nothing."""
    if tool == 'benchmark.py hourglass':
        line = TOOLS[tool] + ' --stacks 1 --batch 2 --repeats 1'
    else:
        line = TOOLS[tool]
    done, left = run(tool, filled(line.split(), good), tmp_path)
    assert done.status == 0, done.err
    assert left == (['out.' + re.search(r'(json|pic)', line)[1].replace('pic', 'png')]
                    if '--out' in line else [])
