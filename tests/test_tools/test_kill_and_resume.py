"""SIGKILL at any step of writing a checkpoint, and at any time; ``--resume`` carries on."""

import signal
from collections import Counter
from pathlib import Path

import mmpose
import pytest
import tiny_run
import torch
from kill_random import RESUMED, Trials, epochs_on_disk, finished_epochs, weights

from mspose_plugin.checkpoint.loading import load_checkpoint_file

KILL_AT = str(Path(tiny_run.__file__).with_name('kill_at.py'))
MMPOSE_TRAIN = str(Path(mmpose.__file__).parent / '.mim/tools/train.py')
STEPS = 18  # of an epoch: five files in three steps each, a validation, what is removed


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    """The tiny config."""
    folder = tmp_path_factory.mktemp('data')
    data = tiny_run.write_mpii(folder / 'mpii', train=4, val=2)
    return tiny_run.write_config(folder / 'tiny.py', data)


def test_kill_at_every_step_of_writing(config, tmp_path):
    """A chain of runs, each killed one step later in its work than the one before."""
    work, log, kills, epoch = tmp_path / 'run', [], 0, 0
    for at in range(1, STEPS + 1):
        # every second run is MMPose's own tool, which starts afresh when there is nothing
        tool = tiny_run.TRAIN if epoch and at % 2 else MMPOSE_TRAIN
        argv = [
            KILL_AT,
            at,
            tool,
            config,
            '--work-dir',
            work,
            '--resume',
            '--cfg-options',
            'train_cfg.max_epochs=99',
        ]
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
    done = tiny_run.run(
        [KILL_AT, 0, tiny_run.TRAIN, config, '--work-dir', work, '--resume', *tail],
        tmp_path / 'cwd',
    )
    assert done.status == 0, done.err
    assert not list(work.glob('.*')), 'unfinished files were not cleared'
    assert finished_epochs(work) == [last - 1, last]
    assert [p.name for p in work.glob('best_*.pth')] == [f'best_PCKh_epoch_{last}.pth']
    said = load_checkpoint_file(work / f'epoch_{last}.pth')['message_hub']['runtime_info']
    assert said['best_score'] == last

    # the same as if nothing had happened, to the last bit
    calm = tmp_path / 'calm'
    done = tiny_run.run(
        [KILL_AT, 0, tiny_run.TRAIN, config, '--work-dir', calm, *tail], tmp_path / 'cwd'
    )
    assert done.status == 0, done.err
    ours, theirs = weights(work, last), weights(calm, last)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[k], theirs[k]) for k in ours)


# steps 1-3 write epoch_1.pth, 4-6 last_checkpoint, 7 is the validation; then the best checkpoint
# and, once more, epoch_1.pth follow
@pytest.mark.parametrize('at', [7, 8, 11])
def test_kill_between_the_last_save_and_its_validation(config, tmp_path, at):
    work = tmp_path / 'run'
    argv = [tiny_run.TRAIN, config, '--work-dir', work, '--cfg-options', 'train_cfg.max_epochs=1']
    done = tiny_run.run([KILL_AT, at, *argv], tmp_path / 'cwd')
    assert done.status == -signal.SIGKILL and epochs_on_disk(work) == [1], done.err
    said = load_checkpoint_file(work / 'epoch_1.pth')['message_hub']['runtime_info']
    assert 'best_score' not in said
    done = tiny_run.run([KILL_AT, 0, *argv, '--resume'], tmp_path / 'cwd')
    assert done.status == 0 and 'validating now' in done.out, done.err
    said = load_checkpoint_file(work / 'epoch_1.pth')['message_hub']['runtime_info']
    best = work / 'best_PCKh_epoch_1.pth'
    assert (said['best_score'], said['best_ckpt']) == (1, str(best)) and best.is_file()
    # now it is known
    done = tiny_run.run([KILL_AT, 0, *argv, '--resume'], tmp_path / 'cwd')
    assert done.status == 0 and 'validating now' not in done.out, done.err


@pytest.mark.parametrize(
    'processes',
    [
        1,
        pytest.param(
            2,
            marks=pytest.mark.skipif(
                torch.cuda.is_available(), reason='needs one GPU for each process'
            ),
        ),
    ],
)
def test_kill_at_random_moments(config, tmp_path, processes):
    """A few trials of ``kill_random.py``, which can be run for longer."""
    trials = Trials(config, tmp_path, processes)
    for _ in range(2):
        trials.trial()
    assert trials.seen == Counter(trials=2), trials.seen
    assert trials.same_as_undisturbed()
