"""The benchmark: what it reports of known times, and that every sub-command runs."""
import json
import runpy
import sys

import pytest


@pytest.fixture
def path(repository):
    """Return the tool."""
    return str(repository / 'tools' / 'benchmark.py')


def run(path, monkeypatch, *args):
    """Run the tool; return its exit status."""
    monkeypatch.setattr(sys, 'argv', [path, *map(str, args)])
    try:
        runpy.run_path(path, run_name='__main__')
    except SystemExit as e:
        return e.code
    return 0


@pytest.mark.parametrize('factor, holds', [(1.02, True), (1.5, False)])
def test_ratio_of_neighbours(path, monkeypatch, factor, holds):
    """A machine that slows down tenfold half-way changes the times, hardly the ratio."""
    tool = runpy.run_path(path)
    clock, calls = [0.], []

    def work(seconds):
        def repetition():
            clock[0] += seconds * (10 if len(calls) > 24 else 1)
            calls.append(seconds)
        return repetition

    monkeypatch.setattr(tool['time'], 'perf_counter', lambda: clock[0])
    row = tool['measure'](tool['Comparison']('x', work(1.), work(factor), 1.05), 21, 'cpu', 'wall')
    assert row.ratio == pytest.approx(factor) and row.holds == holds
    assert len(calls) == 2 * (21 + 2)
    assert calls[:4] in ([factor, 1., 1., factor], [1., factor, factor, 1.])  # by turns


@pytest.mark.parametrize('args, rows', [
    (('hourglass', '--stacks', 1, '--channels', 8, '--input-size', 64), 2),
    (('hourglass', '--stacks', 1, '--channels', 8, '--input-size', 64, '--amp', '--alpha', 1), 2),
    (('loss', '--stacks', 1, '--input-size', 64, '--clock', 'cpu'), 1),
    (('loss', '--stacks', 2, '--input-size', 64, '--norm', 'l2', '--combine', 'max'), 1),
])
def test_every_sub_command_writes_its_table(path, monkeypatch, capsys, tmp_path, args, rows):
    out = tmp_path / 'new' / 'result.json'
    assert run(path, monkeypatch, *args, '--device', 'cpu', '--batch', 2, '--repeats', 2,
               '--out', out) == 0
    result, printed = json.loads(out.read_text()), capsys.readouterr().out
    assert result['benchmark'] == args[0] and len(result['rows']) == rows
    assert set(result['environment']) == {'torch', 'device', 'threads'}
    for row in result['rows']:
        assert row['ratio'] > 0 and f'{row["ratio"]:.3f}' in printed and row['name'] in printed


@pytest.mark.parametrize('args, words', [
    (('hourglass', '--input-size', 100), '--input-size 100'),
    (('loss', '--repeats', 0), '--repeats'),
    (('loss', '--device', 'abacus'), '--device abacus'),
])
def test_errors_in_one_line(path, monkeypatch, capsys, args, words):
    assert run(path, monkeypatch, *args) == 2
    err = capsys.readouterr().err
    assert err.startswith('error: ') and words in err and err.count('\n') == 1
