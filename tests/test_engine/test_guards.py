"""The lock on a work directory, time limits of loaders, and what errors of PyTorch mean."""

import gc
import multiprocessing
import os
import time

import pytest
import torch
from torch.multiprocessing.reductions import rebuild_storage_fd
from torch.utils.data import DataLoader

from mspose_plugin.engine.hooks import LoaderTimeoutHook, WorkDirLockHook
from mspose_plugin.engine.hooks.work_dir_lock_hook import LOCK_FILE, lock_work_dir
from mspose_plugin.utils.errors import InputError, explain


def hold(folder, ready):
    """Lock a folder, fork a process that stays, and wait to be killed."""
    lock = lock_work_dir(folder)
    child = os.fork()
    if child == 0:
        time.sleep(60)
    ready.send(child)
    time.sleep(60)
    del lock


@pytest.fixture()
def holder(tmp_path):
    """Return a process that holds the lock on ``run``, and its child."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context('forkserver').Process(
        target=hold, args=(str(tmp_path / 'run'), theirs)
    )
    process.start()
    assert ours.poll(60), 'the process did not start'
    child = ours.recv()
    yield process, child
    process.kill()
    process.join()
    os.kill(child, 9)


def test_a_work_directory_belongs_to_one_process(holder, train, tmp_path):
    process, _ = holder
    line = rf'^work_dir .*/run is in use by process {process.pid} on \S+; choose another --work-dir'
    with pytest.raises(InputError, match=line):
        lock_work_dir(tmp_path / 'run')
    with pytest.raises(InputError, match=line):
        train([1.0], hooks=[WorkDirLockHook()])
    process.kill()  # its child, as a data-loading process would, lives on
    process.join()
    train([1.0], hooks=[WorkDirLockHook()])
    train([1.0], hooks=[WorkDirLockHook()])  # and lets go at the end


def test_the_lock_can_be_taken_twice_in_a_process(train, tmp_path):
    lock = lock_work_dir(tmp_path / 'run')
    train([1.0], hooks=[WorkDirLockHook()])
    assert lock.is_locked
    assert (tmp_path / 'run' / LOCK_FILE).read_text().startswith(f'process {os.getpid()} on ')
    lock.release()
    del lock
    gc.collect()


def test_a_place_that_takes_no_lock(tmp_path, monkeypatch, caplog):
    (tmp_path / 'file').touch()
    with pytest.raises(InputError, match='file/run: cannot be written to'):
        lock_work_dir(tmp_path / 'file/run')
    monkeypatch.setattr('fcntl.flock', lambda *args: (_ for _ in ()).throw(OSError(37, 'no locks')))
    assert lock_work_dir(tmp_path / 'network') is None


class Slow(torch.utils.data.Dataset):
    """Gives one sample, and then none for ever."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        time.sleep(60 * index)
        return torch.ones(2)


class Loaders:
    """What the hook needs of a Runner."""

    def __init__(self, loader):
        self.train_dataloader = self.val_dataloader = self.test_dataloader = loader


@pytest.mark.parametrize('moment', ['before_train', 'before_val', 'before_test'])
def test_a_loader_that_hangs(moment):
    loader = DataLoader(Slow(), num_workers=1)
    getattr(LoaderTimeoutHook(seconds=0.5), moment)(Loaders(loader))
    with pytest.raises(RuntimeError) as stopped:
        list(loader)
    assert explain(stopped.value).startswith('no batch of data for 0.5 seconds: shared memory')


def test_limits_that_stay(train):
    for loader, expected in (
        (DataLoader(Slow()), 0),  # PyTorch takes none without processes
        (DataLoader(Slow(), num_workers=1, timeout=7), 7),
    ):
        LoaderTimeoutHook().before_train(Loaders(loader))
        assert loader.timeout == expected
    for seconds in (0, -1, 'x', None):
        with pytest.raises(InputError, match='seconds=.*: expected a positive number'):
            LoaderTimeoutHook(seconds)


@pytest.mark.parametrize(
    'text, meaning',
    [
        (
            'DataLoader worker (pid 77) is killed by signal: Killed. ',
            'data-loading process 77 is killed by signal: Killed; if memory ran out, ',
        ),
        (
            'DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that '
            'dataloader\'s '
            'workers are out of shared memory.',
            'data-loading process 7 is killed by signal: Bus error;',
        ),
        (
            'DataLoader worker (pid(s) 12, 13) exited unexpectedly',
            'data-loading process 12, 13 exited unexpectedly; ',
        ),
        (
            '[../gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:2671',
            'another process of this run has ended; its message says why',
        ),
        (
            'unable to allocate shared memory(shm) for file </torch_1_2_0>: '
            'No space left on device (28)',
            'shared memory is full; ',
        ),
        ('CUDA error: device-side assert triggered', None),
    ],
)
def test_explain(text, meaning):
    assert (explain(RuntimeError(text)) or '').startswith(meaning or '')
    assert bool(explain(RuntimeError(text))) == bool(meaning)


@pytest.mark.parametrize('kind', [EOFError, ConnectionResetError, FileNotFoundError])
def test_a_loader_process_that_died_with_a_batch_in_its_hands(kind):
    class Gone:
        def detach(self):
            raise kind()

    with pytest.raises(kind) as stopped:
        rebuild_storage_fd(torch.UntypedStorage, Gone(), 4)
    assert explain(stopped.value).startswith('a data-loading process was killed')
    assert explain(kind()) is None
