"""Checkpoints are written whole or not at all; the last finished one is found."""

import os
from pathlib import Path

import pytest
from mmengine.fileio import get_file_backend

from mspose_plugin.checkpoint.saving import (
    AtomicLocalBackend,
    find_latest_checkpoint,
    remove_unfinished,
)


def test_put_replaces_whole_files(tmp_path):
    backend = get_file_backend(str(tmp_path))
    assert type(backend) is AtomicLocalBackend
    target, link = tmp_path / 'sub/a.pth', tmp_path / 'link.pth'
    backend.put(b'one', target)
    link.symlink_to(target)
    backend.put_text('two', link)
    assert link.is_symlink() and target.read_text() == 'two'
    assert os.listdir(target.parent) == ['a.pth']
    (tmp_path / 'plain').touch()
    assert target.stat().st_mode == (tmp_path / 'plain').stat().st_mode


def test_failed_put_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / 'a.pth'
    AtomicLocalBackend().put(b'old', target)

    def full(*_):
        raise OSError('no space left')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match='no space left'):
        AtomicLocalBackend().put(b'new', target)
    assert target.read_bytes() == b'old' and os.listdir(tmp_path) == ['a.pth']


def test_put_to_a_pipe(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    reader = os.open(tmp_path / 'pipe', os.O_RDONLY | os.O_NONBLOCK)
    AtomicLocalBackend().put(b'x', tmp_path / 'pipe')
    assert os.read(reader, 9) == b'x'
    os.close(reader)


def test_remove_unfinished(tmp_path):
    for name in (
        '.epoch_1.pth.77.tmp',
        '.last_checkpoint.77.tmp',
        'epoch_1.pth',
        '.other.tmp',
        'a.tmp',
    ):
        (tmp_path / name).touch()
    remove_unfinished(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ['.other.tmp', 'a.tmp', 'epoch_1.pth']


def test_find_latest_checkpoint(tmp_path):
    clock = iter(range(1, 99))

    def touch(name, text=''):
        (tmp_path / name).write_text(text)
        os.utime(tmp_path / name, (next(clock),) * 2)

    def latest():
        found = find_latest_checkpoint(tmp_path)
        return found and Path(found).name

    assert latest() is None
    touch('best_PCKh_epoch_9.pth')
    assert latest() is None  # it has no optimizer
    touch('epoch_9.pth')
    assert latest() == 'epoch_9.pth'  # killed before the first name was written
    for i in (1, 2):
        touch(f'epoch_{i}.pth')
    touch('last_checkpoint', str(tmp_path / 'epoch_2.pth'))
    assert latest() == 'epoch_2.pth'  # 9 is an earlier run's
    touch('last_checkpoint', '/moved/away/epoch_2.pth')
    assert latest() == 'epoch_2.pth'
    touch('epoch_3.pth')
    assert latest() == 'epoch_3.pth'  # killed between the file and its name
    touch('epoch_1.pth')
    assert latest() == 'epoch_3.pth'  # copied out of order
    touch('last_checkpoint', '')
    touch('epoch_10.pth')
    assert latest() == 'epoch_10.pth'
    touch('last_checkpoint', 'gone.pth')
    assert latest() == 'epoch_10.pth'
    (tmp_path / 'epoch_10.pth').unlink()
    assert latest() == 'epoch_1.pth'  # the newest of what is left
