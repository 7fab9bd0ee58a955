"""SIGKILL at any step of writing a checkpoint, and at any time; ``--resume`` carries on."""
import random
import re
import signal
import time
from pathlib import Path

import mmpose
import pytest
import tiny_run
import torch

from mspose_plugin.checkpoint_io import load_checkpoint_file

KILL_AT = str(Path(tiny_run.__file__).with_name('kill_at.py'))
MMPOSE_TRAIN = str(Path(mmpose.__file__).parent / '.mim/tools/train.py')
STEPS = 18  # of an epoch: five files written in three steps each, and what is removed
RESUMED = re.compile(r'resumed epoch: (\d+), iter: (\d+)')


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    """The tiny config."""
    folder = tmp_path_factory.mktemp('data')
    data = tiny_run.write_mpii(folder / 'mpii', train=4, val=2)
    return tiny_run.write_config(folder / 'tiny.py', data)


def epochs_on_disk(work: Path) -> list[int]:
    """Return the epochs whose checkpoint has its name."""
    return sorted(int(p.stem.split('_')[1]) for p in work.glob('epoch_*.pth'))


def finished_epochs(work: Path) -> list[int]:
    """Return the same when no run is at work; every checkpoint must be readable."""
    for path in work.glob('*.pth'):
        assert path.name.startswith('.') or 'state_dict' in load_checkpoint_file(path), path
    return epochs_on_disk(work)


def weights(work: Path, epoch: int) -> dict:
    """Return the weights and optimizer state after an epoch."""
    checkpoint = load_checkpoint_file(work / f'epoch_{epoch}.pth')
    momentum = {i: s['momentum_buffer'] for i, s in checkpoint['optimizer']['state'].items()}
    return {**checkpoint['state_dict'], **momentum}


def test_kill_at_every_step_of_writing(config, tmp_path):
    """A chain of runs, each killed one step later in its work than the one before."""
    work, log, kills, epoch = tmp_path / 'run', [], 0, 0
    for at in range(1, STEPS + 1):
        # every second run is MMPose's own tool, which starts afresh when there is nothing
        tool = tiny_run.TRAIN if epoch and at % 2 else MMPOSE_TRAIN
        argv = [KILL_AT, at, tool, config, '--work-dir', work, '--resume', '--cfg-options',
                'train_cfg.max_epochs=99']
        done = tiny_run.run(argv, tmp_path / 'cwd')
        assert done.status == -signal.SIGKILL, done.err
        kills += 1
        found = RESUMED.findall(done.out)
        assert [int(e) for e, _ in found] == ([epoch] if epoch else []), (at, done.out[-500:])
        if epoch:
            assert int(found[0][1]) == epoch * 2  # iterations
        epochs = finished_epochs(work)
        assert not epochs or max(epochs) >= epoch
        epoch = max(epochs, default=0)
        best = [p.name for p in work.glob('best_*.pth')]
        assert best or not (log and log[-1][-1]), 'the best checkpoint is lost'
        log.append((at, epochs, best))
    assert kills == STEPS and epoch >= 3, log

    last = epoch + 2
    tail = ['--cfg-options', f'train_cfg.max_epochs={last}']
    done = tiny_run.run([KILL_AT, 0, tiny_run.TRAIN, config, '--work-dir', work, '--resume', *tail],
                        tmp_path / 'cwd')
    assert done.status == 0, done.err
    assert not list(work.glob('.*')), 'unfinished files were not cleared'
    assert finished_epochs(work) == [last - 1, last]
    assert [p.name for p in work.glob('best_*.pth')] == [f'best_PCKh_epoch_{last}.pth']

    # the same as if nothing had happened, to the last bit
    calm = tmp_path / 'calm'
    done = tiny_run.run([KILL_AT, 0, tiny_run.TRAIN, config, '--work-dir', calm, *tail],
                        tmp_path / 'cwd')
    assert done.status == 0, done.err
    ours, theirs = weights(work, last), weights(calm, last)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[k], theirs[k]) for k in ours)


def test_kill_at_random_moments(config, tmp_path):
    work, rng = tmp_path / 'run', random.Random(0)
    argv = [tiny_run.TRAIN, config, '--work-dir', work, '--cfg-options', 'train_cfg.max_epochs=999']
    epoch = 0
    for i in range(3):
        process = tiny_run.start([*argv, *(['--resume'] if epoch else [])], tmp_path / 'cwd')
        deadline = time.monotonic() + 120
        while max(epochs_on_disk(work), default=0) <= epoch and process.is_alive():
            assert time.monotonic() < deadline
            time.sleep(.02)
        time.sleep(rng.random() / 2)
        process.kill()
        done = tiny_run.finish(process, tmp_path / 'cwd')
        assert done.status == -signal.SIGKILL, done.err
        found = [int(e) for e, _ in RESUMED.findall(done.out)]
        assert found == ([epoch] if i else [])
        epoch = finished_epochs(work)[-1]
