"""Every tool, every slot of its command line, every bad value: one line, nothing written.

Exit status 2, exactly one ``error: `` line, no traceback, no hang, no file. A new tool is one line
in :data:`TOOLS`; a new kind of bad input is one line in ``helpers/bad_inputs.py``.
"""

import re
import signal
import sys
from importlib import import_module
from string import Formatter

import bad_inputs
import pytest
import tiny_run
from mmengine.registry import init_default_scope
from mmengine.utils import ManagerMixin

import mspose_command
from mspose_plugin.cli import running

TOOLS = {
    'mspose draw predictions': '{model} {checkpoint} --out {picture} --num {count} '
    '--columns {count} --size {size} --seed {seed} --device {device}',
    'count_peaks.py': '{model} {checkpoint} --out {json} --batch-size {count} --seed {seed} '
    '--strong {fraction} --distance {count} --device {device}',
    'mspose draw masking': '{config} --out {picture} --num {count} --columns {count} '
    '--size {size} --seed {seed}',
    'mspose draw heatmaps': '{image} --model {named} --weights {checkpoint} --out {picture} '
    '--device {device}',
    'mspose draw regression': '{image} --model {named} --weights {checkpoint} --out {picture} '
    '--num {count}',
    'mspose draw pck': '{curve} --out {picture}',
    'mspose analyze': '{dump} --out {picture} --json {json}',
    'complexity.py': '{model} --out {json}',
    'benchmark.py parts': '{model} --out {json} --repeats {count} --batch {count} '
    '--device {device}',
    'benchmark.py export': '{model} --out {json} --batch {count} --formats torchscript '
    '--repeats {count}',
    'benchmark.py loss': '--out {json} --repeats {count} --batch {count} --stacks {count} '
    '--input-size {size} --device {device}',
    'benchmark.py hourglass': '--channels {count} --input-size {size}',
    'mspose train': '{config} --work-dir {folder} --show-dir {folder} --cfg-options {training}',
    'mspose train --resume': '{resumed} {config}',
    'mspose test': '{config} {checkpoint} --out {json} --dump {pickle} --work-dir {folder} '
    '--cfg-options {testing}',
    'mspose calibrate': '{config} {checkpoint} --out {json} --seed {seed} --shifts {share} '
    '--scales {factor} --max-persons {persons} --confidence {share} '
    '--max-passes {count} --work-dir {folder} '
    '--cfg-options {calibration}',
    'mspose convert': '{published} {weights}',
    'mspose convert --layout bearpaw': '{published} {weights} --levels {count} 1',
    'mspose synthesize': '--layout {layout} --out {folder} --train {images} --val {images} '
    '--seed {anyseed} --size {pixels} --quality {quality} --workers {count}',
    'mspose check-data': '{annotations} --val {annotations} --images {images_of} '
    '--val-images {images_of} --repair {json} --picture {picture} --num {count} --seed {seed}',
    'mspose curves': '{run} --out {picture}',
    'mspose check-env --zoo nothing': '--workers {count}',
    'mspose predict': '{image} --model {named} --weights {checkpoint} --out {folder} '
    '--batch-size {count} --box-score {fraction} --min-score {fraction} --device {device}',
    'mspose export': '{named} {checkpoint} --out {script} --max-loss {fraction}',
    'mspose ablate': '{plan} --out {folder} --work-dir {folder} --seeds {seed} --workers {count}',
    'demo.py': '--train {count} --val {count} --seed {seed} --cfg-options {option}',
    'demo.py mlpe': '--train {count} --cfg-options {option}',
}
"""Tool and sub-command, its command line with slots."""
THIN = dict(
    train='train',
    test='test',
    calibrate_thresholds='calibrate',
    convert_checkpoint='convert',
    make_synthetic='synthesize',
)
"""Script of ``tools/`` -> the sub-command that it is."""
OTHERS = [
    ('mspose', 'trian', 'no such command; there is train'),
    ('mspose', 'nothing', 'no such command; there is '),
    ('mspose', 'train msspose_hourglas8_mpii', 'msspose_hourglass8_mpii'),
    ('mspose', 'test mlpe/nothing {checkpoint}', 'no such file'),
    ('mspose', 'check-env --wrong', 'unrecognized'),
    ('mspose', 'models --wrong', 'unrecognized'),
    ('mspose', 'web --model {model} --weights nowhere.pth', 'no such file'),
    ('mspose', 'web --model {model} --port 0', "'0'"),
    ('mspose', 'web --model {model} --max-megapixels nan', "'nan'"),
    ('mspose', 'web --model {model} --device abacus', 'abacus'),
    ('mspose predict', '{image} --model {named} --weights {checkpoint} --track', 'tracking needs'),
    ('mspose predict', '{image} --model {named} --tracker bytetrack', 'only with --track'),
    ('mspose predict', 'v.mp4 --model {named} --track --fps 0', "'0'"),
    ('mspose predict', 'v.mp4 --model {named} --track --detect-every 0', "'0'"),
    ('mspose', 'check-data {annotations} --repair {annotations}', 'an input'),
    ('mspose', 'check-data {annotations} --model resnet', "'resnet'"),
    ('mspose', 'check-data {annotations} --config out.txt', 'ending in .py'),
    ('mspose', 'export {config} {checkpoint} --format onnx --out a.xml', 'not the ending of'),
    ('mspose', 'export {config} {checkpoint} --format onnx --int8 mpii', 'cannot have int8'),
    ('mspose', 'export {config} {checkpoint} --format openvino --int8 nowhere', 'no such folder'),
    ('mspose', 'export {config} {checkpoint} --format pt2 --boxes a.json', '--int8'),
    ('mspose ablate', '{plan} --job 0', "'0'"),
    ('mspose ablate', '{plan} --job 1', 'there are 0'),
    ('mspose ablate', '{plan} --only a', '--only a'),
    ('mspose ablate', '{plan} --plot a.png', 'goes with --report'),
    ('mspose ablate', '{plan} --report', 'no results'),
    ('mspose ablate', '{plan} --report --plot a.txt', 'ending in'),
    ('mspose ablate', '{plan} --submit nowhere', "'nowhere'"),
    ('mspose ablate', '{plan} --submit-options a=1', 'goes with --submit'),
    ('mspose ablate', '{plan} --job 1 --workers 2', 'not allowed'),
    ('train.py', '', 'train.py --help'),
    ('train.py', 'nowhere.py', 'no such file'),
    ('train.py', '{config} --work-dir', 'expected one argument'),
    ('test.py', '{config} nowhere.pth', 'no such file'),
    ('calibrate_thresholds.py', '{config} {checkpoint} --out folder', 'ending in .json'),
    ('convert_checkpoint.py', 'nowhere.pth {weights}', 'no such file'),
    ('make_synthetic.py', '--layout lsp --out {folder}', "'lsp'"),
    ('make_synthetic.py', '--layout mpii --out {folder} --size 1 2 3', 'one or two numbers'),
    (
        'make_synthetic.py',
        '--layout mpii --out {folder} --train 0 --val 0',
        'expected at least one image',
    ),
    ('mspose draw predictions', '{model} {checkpoint} --out {picture} --num 99', 'test set has 4'),
    ('mspose draw predictions', '{model} {checkpoint} --out {picture} --num 90000', 'lower --num'),
    ('mspose draw predictions', '{model} {checkpoint}', '--out'),
    (
        'mspose draw predictions',
        '{model} {checkpoint} --out {picture} --size',
        'expected one argument',
    ),
    ('mspose draw predictions', '{model} {checkpoint} --out {picture} --wrong', 'unrecognized'),
    ('mspose draw', '', 'KIND'),
    ('mspose draw', 'portraits', "'portraits'"),
    ('mspose draw', 'skeleton lsp --out {picture}', "'lsp'"),
    ('mspose draw', 'pck a.json a.json --out {picture}', 'a.json'),
    ('mspose draw', 'pck {curve} {curve} --out {picture}', 'a second result called good'),
    (
        'mspose draw heatmaps',
        '{image} --model {named} --weights {checkpoint} --out {picture} --joint tail',
        "'tail'",
    ),
    (
        'mspose draw heatmaps',
        '{image} --model {named} --weights {checkpoint} --out {picture} --box 9 9 3 3',
        'x1 < x2',
    ),
    (
        'mspose draw heatmaps',
        '{image} --model {named} --weights {checkpoint} --out {picture} --box 0 0 inf 9',
        "'inf'",
    ),
    ('mspose analyze', 'a.txt --out {picture}', 'expected .pkl, .h5 or .json'),
    ('mspose analyze', '{curve} --out {picture}', '--truth'),
    ('count_peaks.py', '{model} {checkpoint} --cfg-options model.head.type=MSSHead', 'MSSHead'),
    ('complexity.py', '{model} --input-size 5 5', '5x5'),
    ('complexity.py', '{model} --input-size 64 99999999', '99999999'),
    ('benchmark.py hourglass', '--input-size 100', '--input-size 100'),
    ('demo.py', '--cfg-options model.backbone.num_stacks=many', "num_stacks='many'"),
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
                    for bad in bad_inputs.KINDS[slot][1][: 1 if once else None]:
                        option = words[at - 1] if words[at - 1].startswith('--') else slot
                        found.append(
                            pytest.param(
                                tool, words, at, bad, id=f'{tool} {option} {bad.value}{bad.file}'
                            )
                        )
    return found


@pytest.fixture(scope='module')
def good(tmp_path_factory):
    """Return a folder with the files that good values name."""
    path = tmp_path_factory.mktemp('good')
    bad_inputs.write_good(path)
    return path


@pytest.fixture
def run(monkeypatch, capfd):
    """Return a function that runs a tool and says how it ended and what it left in its folder.

    In this process: starting one takes longer than all that a tool does before it stops.
    """

    def too_long(*_):
        pytest.fail('the tool hangs')  # no Exception, which a tool might turn into a line

    def start(tool):
        if tool == 'mspose':
            mspose_command.main()
        elif tool in THIN:
            mspose_command.start(THIN[tool])
        else:
            running.run(import_module(f'tools.{tool}'))

    def run_tool(tool, words, folder):
        name, *command = tool.split()
        path = tiny_run.REPOSITORY / 'tools' / name
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, 'argv', [str(path), *command, *words])
        monkeypatch.setenv('LOCAL_RANK', '0')  # which load_config sets
        # seconds for the log
        monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)
        monkeypatch.setattr('mmengine.config.config.FormatCode', lambda text, **_: (text, False))
        forget(ManagerMixin)
        init_default_scope('mmpose')
        capfd.readouterr()
        before = signal.signal(signal.SIGALRM, too_long)
        signal.alarm(60)
        try:
            start(path.stem)
            status = 0
        except SystemExit as e:
            status = e.code
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)
        return tiny_run.Finished(status, *capfd.readouterr()), sorted(
            path.name for path in folder.iterdir()
        )

    return run_tool


def forget(manager):
    """Drop what earlier runs in this process left of loggers, visualizers and scopes, by name."""
    manager._instance_dict.clear()
    for kind in manager.__subclasses__():
        forget(kind)


def filled(words, good):
    """Put good values into the slots."""
    values = {
        slot: str(good / value) if value.startswith(('good', 'mpii/')) else value
        for slot, (value, _) in bad_inputs.KINDS.items()
    }
    return [word.format(**values) for word in words]


@pytest.mark.parametrize('tool, words, at, bad', cases())
def test_a_bad_value(tool, words, at, bad, good, tmp_path, run):
    inputs, folder = tmp_path / 'inputs', tmp_path / 'cwd'
    inputs.mkdir()
    words, value = filled(words, good), bad.value
    if bad.make:
        slot = re.search(r'{(\w+)}', TOOLS[tool].split()[at])[1]
        path = inputs / (bad.file or value)
        bad.make(path, good / bad_inputs.KINDS[slot][0])
        value = value.replace('FILE', str(path)) if bad.file else str(path)
    words[at] = value
    done, left = run(tool, words, folder)
    assert bad.words in done.error
    assert not left or bad.late and left == ['out']


@pytest.mark.parametrize('tool, line, expected', OTHERS)
def test_bad_command_lines(tool, line, expected, good, tmp_path, run):
    done, left = run(tool, filled(line.split(), good), tmp_path)
    assert expected in done.error
    assert not left


@pytest.mark.parametrize(
    'tool',
    [tool for tool in TOOLS if not tool.startswith('demo') and tool != 'mspose train --resume'],
)
def test_the_good_values_are_good(tool, good, tmp_path):
    """Else the table would show nothing. Demo and resume have good runs in tests of their own."""
    line = TOOLS[tool]
    name, *command = tool.split()
    if command == ['hourglass']:
        command += ['--stacks', '1', '--batch', '2', '--repeats', '1']
    script = 'mspose_command.py' if name == 'mspose' else f'tools/{name}'
    done = tiny_run.run(
        [tiny_run.REPOSITORY / script, *command, *filled(line.split(), good)], tmp_path
    )
    assert done.status == 0, done.err
    written = {word for word in filled(line.split(), good) if word.partition('.')[0] == 'out'}
    found = {path.name for path in tmp_path.iterdir()} - {'out.txt', 'err.txt', 'work_dirs'}
    assert found == written - ({'out'} if tool == 'mspose ablate' else set())  # a plan of nothing


@pytest.mark.parametrize('script', THIN)
def test_a_script_is_its_sub_command(script):
    text = (tiny_run.REPOSITORY / f'tools/{script}.py').read_text()
    assert f"start('{THIN[script]}')" in text and len(text.splitlines()) < 10
