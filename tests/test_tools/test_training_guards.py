"""What goes wrong in a training, through the tools: a line and a status, nothing lost, no hang."""

import os
import shutil
import signal
import subprocess
import time

import pytest
import tiny_run
import torch
from tiny_run import TRAIN, run, run_ranks

from mspose_plugin.checkpoint.loading import load_checkpoint_file

RANKS = pytest.mark.skipif(torch.cuda.is_available(), reason='needs one GPU for each process')
# scripts that run tools/train.py with something amiss
AMISS = '''
import os, runpy, sys, time
import torch
from torch.utils.data import get_worker_info
from mspose_plugin.datasets.transforms import LoadImageChecked
from mspose_plugin.models.heads import MSSHead

def stuck(self, results):
    time.sleep(600 if get_worker_info() else 0)

def nan_in_the_second_process(self, *args, **kwargs):
    return dict(loss(self, *args, **kwargs), loss_more=torch.tensor(
        float('nan') if os.environ.get('RANK') == '1' else 0.))

loss = MSSHead.loss
{}
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
'''


@pytest.fixture(scope='module')
def base(tmp_path_factory):
    """Return a folder with data, the tiny config and a run of two epochs."""
    folder = tmp_path_factory.mktemp('base')
    data = tiny_run.write_mpii(folder / 'mpii', train=4, val=2)
    config = tiny_run.write_config(folder / 'tiny.py', data)
    done = run([TRAIN, config, '--work-dir', folder / 'run'], folder / 'cwd')
    assert done.status == 0, done.err
    return folder


@pytest.fixture()
def train(base, tmp_path):
    """Return a function that continues a copy of the run; ``amiss`` is code that changes it."""
    shutil.copytree(base / 'run', tmp_path / 'run')
    (tmp_path / 'run/last_checkpoint').write_text(str(tmp_path / 'run/epoch_2.pth'))

    def start(*options, resume='--resume', amiss=None, ranks=1, config='tiny.py', **more):
        argv = [
            TRAIN,
            base / config,
            '--work-dir',
            tmp_path / 'run',
            *resume.split(),
            '--cfg-options',
            'train_cfg.max_epochs=3',
            *options,
        ]
        if amiss:
            (tmp_path / 'amiss.py').write_text(AMISS.format(amiss))
            argv.insert(0, tmp_path / 'amiss.py')
        if ranks == 1:
            return more.get('go', run)(argv, tmp_path / 'cwd')
        return run_ranks([*argv, '--launcher', 'pytorch'], tmp_path / 'cwd', ranks)

    return start


def epochs(folder):
    """Return the names of the checkpoints of epochs."""
    return sorted(path.name for path in folder.glob('epoch_*.pth'))


def test_weights_that_diverge(train, tmp_path):
    line = train('optim_wrapper.optimizer.lr=1e30', 'param_scheduler=None', resume='').error
    assert line.startswith('error: training stopped: weights not finite (first backbone.')
    assert 'after epoch 1, step 2, and not saved; lower the learning rate' in line
    assert epochs(tmp_path / 'run') == ['epoch_1.pth', 'epoch_2.pth']


@RANKS
def test_a_loss_that_is_not_finite_in_one_process_of_two(train, tmp_path):
    for done in train(
        'default_hooks.finite_loss.patience=1',
        ranks=2,
        amiss='MSSHead.loss = nan_in_the_second_process',
    ):
        assert done.error == (
            'error: training stopped: loss not finite in 1 steps in a row, the first in epoch 3, '
            'step 1: loss, loss_more; lower the learning rate or clip gradients '
            f'(optim_wrapper.clip_grad); the last good checkpoint is {tmp_path}/run/epoch_2.pth'
        )


def test_a_stuck_data_loading_process(train):
    line = train(
        'train_dataloader.num_workers=1',
        'default_hooks.loader_timeout.seconds=1',
        amiss='LoadImageChecked.transform = stuck',
    ).error
    assert line.startswith('error: no batch of data for 1 seconds: shared memory is full, or ')
    assert '--shm-size' in line and 'default_hooks.loader_timeout.seconds' in line


def test_a_killed_data_loading_process_and_a_second_training(train, tmp_path):
    process = train(
        'train_dataloader.num_workers=1',
        'train_cfg.max_epochs=9999',
        'train_dataloader.persistent_workers=True',
        go=tiny_run.start,
    )
    deadline = time.monotonic() + 120
    while 'epoch_3.pth' not in epochs(tmp_path / 'run') and time.monotonic() < deadline:
        time.sleep(0.05)
    config = (tmp_path / 'run/tiny.py').read_bytes()
    for resume in ('--resume', ''):
        shutil.rmtree(tmp_path / 'second', ignore_errors=True)
        line = train(resume=resume, go=lambda argv, _: run(argv, tmp_path / 'second')).error
        assert line.startswith(
            f'error: work_dir {tmp_path}/run is in use by process {process.pid} on '
        )
    assert (tmp_path / 'run/tiny.py').read_bytes() == config
    worker = subprocess.run(['pgrep', '-P', str(process.pid)], capture_output=True, text=True)
    os.kill(int(worker.stdout.split()[0]), signal.SIGKILL)
    line = tiny_run.finish(process, tmp_path / 'cwd').error
    # without its number where it died with a batch half handed over
    assert line.startswith(
        (
            f'error: data-loading process {worker.stdout.split()[0]} ',
            'error: a data-loading process was killed',
        )
    )
    assert line.endswith('a training continues with --resume')


@RANKS
def test_a_second_training_of_two_processes(train, tmp_path):
    process = train('train_cfg.max_epochs=9999', go=tiny_run.start)
    deadline = time.monotonic() + 120
    while 'epoch_3.pth' not in epochs(tmp_path / 'run') and time.monotonic() < deadline:
        time.sleep(0.05)
    config = (tmp_path / 'run/tiny.py').read_bytes()
    for done in train('randomness.seed=7', ranks=2):
        assert f'run is in use by process {process.pid} on ' in done.error
    process.kill()
    process.join()
    assert (tmp_path / 'run/tiny.py').read_bytes() == config
    assert train('train_cfg.max_epochs=1').status == 0  # at once


@RANKS
def test_a_bad_image_in_one_process_of_two(base, train, tmp_path):
    image = tmp_path / 'cut.png'
    image.write_bytes((base / 'mpii/images/000000005.png').read_bytes()[:200])
    data = tmp_path / 'mpii'
    shutil.copytree(base / 'mpii', data)
    shutil.copy(image, data / 'images/000000005.png')  # the second one of the validation
    lines = {
        done.error
        for done in train(
            *(f'{split}_dataloader.dataset.data_root={data}/' for split in ('train', 'val')),
            ranks=2,
        )
    }
    assert lines == {
        f'error: cannot read image {data}/images/000000005.png: truncated, or not an image; '
        'replace the file or remove its annotations',
        'error: another process of this run has ended; its message says why',
    }


@pytest.mark.parametrize('ranks', [1, pytest.param(2, marks=RANKS)])
def test_a_full_disk(train, tmp_path, ranks):
    (tmp_path / 'run/epoch_3.pth').symlink_to('/dev/full')
    done = train(ranks=ranks)
    for each in done if ranks == 2 else [done]:
        assert each.error == (
            f'error: checkpoint: cannot be written to {tmp_path}/run (No space left on device); '
            'make room or mend the permissions, then continue with --resume'
        )
    assert epochs(tmp_path / 'run') == ['epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth']
    (tmp_path / 'run/epoch_3.pth').unlink()
    done = train()
    assert done.status == 0 and 'resumed epoch: 2' in done.out, done.err


def test_a_work_directory_that_takes_no_files(base, tmp_path):
    (tmp_path / 'file').touch()
    argv = [TRAIN, base / 'tiny.py', '--work-dir', tmp_path / 'file/run']
    assert 'file/run: nothing can be written to ' in run(argv, tmp_path / 'cwd').error
    config = tiny_run.write_config(
        tmp_path / 'tiny.py', base / 'mpii', f"work_dir = '{tmp_path}/file/run'"
    )
    assert 'file/run: nothing can be written to ' in run([TRAIN, config], tmp_path / 'cwd').error


@pytest.mark.parametrize('content', [b'\xff\xfe\0\1', b'\0', b'x' * 9999, b'a\nb', b''])
def test_last_checkpoint_that_is_no_path(train, tmp_path, content):
    (tmp_path / 'run/last_checkpoint').write_bytes(content)
    done = train()
    assert done.status == 0 and 'resumed epoch: 2' in done.out, done.err


def test_a_damaged_checkpoint(train, tmp_path):
    newest, older = tmp_path / 'run/epoch_2.pth', tmp_path / 'run/epoch_1.pth'
    content = newest.read_bytes()
    newest.write_bytes(content[:-999])
    line = train().error
    assert line.startswith(f'error: checkpoint {newest}: cannot be read')
    assert line.endswith(f'; {older} is intact: --resume intact continues from it')
    # one whose weights are not finite
    newest.write_bytes(content)
    checkpoint = load_checkpoint_file(newest)
    name = next(iter(checkpoint['state_dict']))
    checkpoint['state_dict'][name].fill_(torch.nan)
    torch.save(checkpoint, newest)
    line = train().error
    assert f'{newest}: 1 tensors are not finite, first {name}; ' in line and 'intact' in line
    done = train(resume='--resume intact')
    assert done.status == 0 and 'resumed epoch: 1' in done.out, done.err
    assert epochs(tmp_path / 'run') == ['epoch_2.pth', 'epoch_3.pth']
    for path in (tmp_path / 'run').glob('*.pth'):
        path.write_bytes(b'x')
    assert train(resume='--resume intact').error == (
        f'error: --resume: {tmp_path}/run holds no intact checkpoint; start without --resume, or '
        'name a checkpoint'
    )
    assert train().error.startswith(f'error: checkpoint {tmp_path}/run/epoch_3.pth: not a file of')
