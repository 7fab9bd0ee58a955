"""The benchmark: what it reports of known times, and that every sub-command runs."""

import json

import numpy as np
import pytest
import tiny_run
import torch
from mmengine.config import Config

from mspose_plugin.benchmarks import allocator, memory, parts, pipeline
from mspose_plugin.benchmarks.timing import CLOCKS, Comparison, measure
from mspose_plugin.cli import running
from mspose_plugin.utils import untrained
from tools import benchmark

NECK = """
model.update(
    backbone=dict(type='ResNet', depth=18, init_cfg=dict(
        type='Pretrained', checkpoint='https://unreachable.invalid/x.pth')),
    neck=dict(type='FeatureMapProcessor', select_index=0),
    head=dict(type='HeatmapHead', in_channels=512, out_channels=16, deconv_out_channels=(8, ) * 3,
              deconv_kernel_sizes=(4, ) * 3, decoder=codec,
              loss=dict(type='KeypointMSELoss', use_target_weight=True)))
"""
REGRESSION = """
model['backbone'].update(context='image')
model['head'].update(type='MSRHead', channels=8, context_channels=3)
"""


def run(*args):
    """Run the tool; return its exit status."""
    try:
        running.run(benchmark, [*map(str, args)])
    except SystemExit as e:
        return e.code
    return 0


@pytest.mark.parametrize('factor, holds', [(1.02, True), (1.5, False)])
def test_ratio_of_neighbours(monkeypatch, factor, holds):
    """A machine that slows down tenfold half-way changes the times, hardly the ratio."""
    clock, calls = [0.0], []

    def work(seconds):
        def repetition():
            clock[0] += seconds * (10 if len(calls) > 24 else 1)
            calls.append(seconds)

        return repetition

    monkeypatch.setitem(CLOCKS, 'wall', lambda: clock[0])
    row = measure(Comparison('x', work(1.0), work(factor), 1.05), 21, 'wall')
    assert row.value == pytest.approx(factor) and row.holds == holds and row.unit == 'ratio'
    assert len(calls) == 2 * (21 + 2)
    assert calls[:4] in ([factor, 1.0, 1.0, factor], [1.0, factor, factor, 1.0])  # by turns


@pytest.mark.parametrize('target, holds', [(1500.0, True), (50.0, False), (None, None)])
def test_difference_and_its_target(monkeypatch, target, holds):
    clock = [0.0]

    def work(seconds):
        return lambda: clock.__setitem__(0, clock[0] + seconds)

    monkeypatch.setitem(CLOCKS, 'wall', lambda: clock[0])
    comparison = Comparison('x', work(2.0), work(2.1), target, 'ms')
    row = measure(comparison, 5, 'wall')
    assert row.value == pytest.approx(100) and row.unit == 'ms' and row.holds is holds
    assert ('<=' in row.cells()[-1]) == (target is not None) and ' ms' in row.cells()[3]


@pytest.mark.parametrize(
    'args, rows',
    [
        (('hourglass', '--stacks', 1, '--channels', 8, '--input-size', 64), 4),
        (
            (
                'hourglass',
                '--stacks',
                1,
                '--channels',
                8,
                '--input-size',
                64,
                '--amp',
                '--alpha',
                1,
                '--public',
                'bearpaw',
            ),
            4,
        ),
        (('loss', '--stacks', 1, '--input-size', 64, '--clock', 'cpu'), 1),
        (('loss', '--stacks', 2, '--input-size', 64, '--norm', 'l2', '--combine', 'max'), 1),
        (('masking',), 1),
        (('pipeline', '--people', 1), 2),
        (('metric', '--people', 9), 2),
        (('memory', '--stacks', 1, '--input-size', 64), 3),
        (('arithmetic', ''), 1),
        (('allocator', '', '--steps', 1), 2),
        (('parts', ''), 2),
        (('parts', NECK), 2),
        (('parts', REGRESSION), 2),
        (('export', '', '--formats', 'torchscript'), 3),
    ],
)
def test_every_sub_command_writes_its_table(capsys, tmp_path, monkeypatch, args, rows):
    monkeypatch.setattr(memory, '_in_process', memory._peak)  # whose start takes long
    monkeypatch.setattr(allocator, '_in_process', lambda *args: allocator._ms(*args, 1))
    kept = []
    monkeypatch.setattr(allocator, 'keep_freed_memory', lambda: kept.append(True))
    out = tmp_path / 'new' / 'result.json'
    if args[0] in ('parts', 'export', 'arithmetic', 'allocator'):
        config = tiny_run.write_config(tmp_path / 'tiny.py', tmp_path, args[1])
        args = (args[0], config, *args[2:])
    batch = () if args[0] in ('masking', 'pipeline', 'metric') else ('--batch', 2)
    assert run(*args, *batch, '--device', 'cpu', '--repeats', 2, '--out', out) == 0
    result, printed = json.loads(out.read_text()), capsys.readouterr().out
    assert result['benchmark'] == args[0] and len(result['rows']) == rows
    assert 'out' not in result['arguments']  # where it lies is no part of it
    assert len(kept) == 4 * (args[0] == 'allocator')  # one side of two rounds of two rows
    assert {'commit', 'torch', 'versions', 'device_name', 'threads'} <= set(result['environment'])
    for row in result['rows']:
        assert row['name'] in printed and row['value'] != 0
        assert args[0] == 'memory' or min(row['baseline_ms'], row['candidate_ms']) > 0
        assert f'{row["value"]:.3f} {row["unit"]}' in printed
        assert (row['target'] is None) == (row['holds'] is None)


def test_pipelines_have_the_same_seed_in_a_round_and_another_in_the_next():
    """With a single seed one side mirrors more images than the other, round after round."""
    drawn = []
    sides = [pipeline._all(lambda _: drawn.append(np.random.rand()), [{}]) for _ in range(2)]
    for run in (*sides, *sides):
        run()
    assert drawn[0] == drawn[1] != drawn[2] == drawn[3]


def test_parts_pass_on_gradients_as_the_whole_does(tmp_path):
    """What is cut off is a leaf where a gradient would have gone through, and only there."""
    cfg = Config.fromfile(tiny_run.write_config(tmp_path / 'a.py', tmp_path, REGRESSION))
    backbone, head = untrained.parts(untrained.build(cfg)).values()
    features = parts._cut_off(backbone, torch.rand(2, 3, 64, 64))
    tensors = list(parts._tensors(features))
    assert len(tensors) == 4 + 1 and all(t.is_leaf for t in tensors)
    assert [t.requires_grad for t in tensors] == [True] * 4 + [False]  # the image has none
    list(parts._tensors(head(features)))[3].sum().backward()
    assert tensors[0].grad is None and all(p.grad is None for p in backbone.parameters())


@pytest.mark.parametrize(
    'args, words',
    [
        (('hourglass', '--input-size', 100), '--input-size 100'),
        (('parts', 'nowhere.py'), 'nowhere.py'),
    ],
)
def test_errors_in_one_line(capsys, args, words):
    assert run(*args) == 2
    err = capsys.readouterr().err
    assert err.startswith('error: ') and words in err and err.count('\n') == 1
