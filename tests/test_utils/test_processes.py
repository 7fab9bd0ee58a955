"""Generators in processes of their own: what they yield, and how they end."""

import time

import pytest
import streams
import torch

from mspose_plugin.utils.processes import context, generated


def later(seconds=100.0):
    return time.monotonic() + seconds


def test_what_a_generator_yields_and_prints(tmp_path):
    with generated(streams.numbers, 3, log=tmp_path / 'log') as until:
        assert list(until(later())) == [0, 1, 2]
    assert (tmp_path / 'log').read_text() == 'all are made\n'


@pytest.mark.parametrize('make, status', [(streams.failing, 1), (streams.dying, 9)])
def test_a_process_that_fails(tmp_path, make, status):
    with generated(make, 2, log=tmp_path / 'log') as until:
        received = until(later())
        assert [next(received), next(received)] == [0, 1]
        with pytest.raises(ChildProcessError, match=f'status {status}; see .*log'):
            next(received)
    assert ('ValueError: no more' in (tmp_path / 'log').read_text()) == (status == 1)


def test_a_process_that_does_not_end_is_ended(tmp_path):
    with generated(streams.waiting, tmp_path / 'ended', log=tmp_path / 'log') as until:
        assert next(until(later())) > 0
        with pytest.raises(TimeoutError, match='did not end in its time'):
            next(until(later(0)))
    assert (tmp_path / 'ended').exists()  # it could clear up


@pytest.mark.parametrize('there, asked, method', [
    (True, None, 'spawn'),
    (True, False, 'forkserver'),
    (False, None, 'forkserver'),
    (False, True, 'spawn'),
])  # fmt: skip
def test_nothing_is_forked_for_a_gpu(monkeypatch, there, asked, method):
    """CUDA refuses to work in a process that was forked after anybody looked for a GPU."""
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: there)
    assert context([], asked).get_start_method() == method
