"""One process and several: the same figures, the same training, and one line for what differs."""

import os
import shutil
import subprocess

import numpy as np
import pytest
import tiny_run
import torch
from mmengine.config import Config
from tiny_run import REPOSITORY, TRAIN, run, run_ranks

from mspose_plugin.synthetic import Recipe, write_dataset
from mspose_plugin.utils.curves import read_logs
from mspose_plugin.utils.errors import InputError
from tools import measure_distributed
from tools.measure_distributed import INITIAL, Training, relative_distance, weights

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason='needs a GPU for each process')

MPII = '''
train_dataloader['batch_size'] = 4
val_evaluator = test_evaluator = [dict(type='PCKhAUC'), dict(type='BoxPCK', prefix='box')]
'''
COCO = '''
model['backbone']['num_keypoints'] = 17
val_dataloader['dataset'] = dict(
    type='CocoDataset', data_root='{data}/', data_mode='topdown', test_mode=True,
    ann_file='annotations/person_keypoints_val2017.json', data_prefix=dict(img='val2017/'),
    pipeline=val_pipeline)
test_evaluator = dict(
    type='CocoMetric', ann_file='{data}/annotations/person_keypoints_val2017.json')
'''
# every hook of the package but that of stages, which has two processes in its own tests
TIMED = '''
train_dataloader['batch_size'] = 5
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=100, val_interval=3)
param_scheduler, log_processor = [], dict(by_epoch=False)
default_hooks.update(
    checkpoint=dict(by_epoch=False, interval=2),
    logger=dict(interval=1, log_metric_by_epoch=False),
    time_budget=dict(type='TimeBudgetHook', minutes=0.225),
    training_curves=dict(type='TrainingCurvesHook'),
    validation_loss=dict(type='ValidationLossHook'))
visualizer = dict(vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')])
'''
# train.py with a clock that goes on by a second whenever it is looked at, or by 10 in rank 1
CLOCKS = '''
import itertools, os, runpy, sys
from types import SimpleNamespace
from mspose_plugin.engine.hooks import time_budget_hook

ticks = itertools.count(step=10 if os.environ['RANK'] == '1' else 1)
time_budget_hook.time = SimpleNamespace(monotonic=ticks.__next__)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
'''


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Return the module's folder; ``measure_distributed`` starts its processes there."""
    path = tmp_path_factory.mktemp('distributed')

    def launch(tool, words, processes, threads=1):
        argv = [REPOSITORY / f'tools/{tool}.py', *words]
        several = [*argv, '--launcher', 'pytorch']
        done = [run(argv, path)] if processes == 1 else run_ranks(several, path, processes)
        assert [d.status for d in done] == [0] * processes, done[0].err + done[-1].err

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure_distributed, 'launch', launch)
        yield path


@pytest.fixture(scope='module')
def cfg(folder):
    """Return a config whose epoch is two batches of 4 and one of 2; two persons are validated."""
    data = tiny_run.write_mpii(folder / 'mpii', train=10, val=2)
    return Config.fromfile(tiny_run.write_config(folder / 'tiny.py', data, MPII))


@pytest.fixture(scope='module')
def fixed(folder, cfg):
    """Return what was logged by one process and by two, with fixed batch norms."""
    trainings = Training(fixed=True), Training(2, fixed=True)
    return [measure_distributed.train(t, cfg, 2, folder) for t in trainings]


def distance(ours, theirs):
    """Return the largest relative distance of two networks' tensors, each by itself."""
    return max(
        float((a - theirs[name]).norm() / a.norm().clamp(min=1e-12))
        for name, a in ours.items()
        if a.is_floating_point()
    )


def test_relative_distance(tmp_path):
    """Of all parameters together, without statistics, and whatever their size."""
    for name, last in (('ours', 3.0), ('theirs', 7.0)):
        (tmp_path / name).mkdir()
        state = dict(w=torch.tensor([0.0, last]), b=torch.tensor([1e6]), mean=torch.tensor([last]))
        torch.save(dict(state_dict=state), tmp_path / name / 'epoch_1.pth')
    torch.save(dict(w=torch.zeros(2), b=torch.tensor([1e6 + 4])), tmp_path / 'ours' / INITIAL)
    apart = relative_distance(tmp_path / 'ours', tmp_path / 'theirs')
    assert apart == pytest.approx(4 / 5)


def test_two_processes_train_as_one(folder, fixed):
    one, two = (run['validations'] for run in fixed)
    assert len(one) == len(two) == 2
    for ours, theirs in zip(one, two):
        assert ours['PCKh'] == theirs['PCKh'] and ours['box/AUC'] == theirs['box/AUC']
        assert ours['val/loss'] == pytest.approx(theirs['val/loss'], rel=1e-5)
    assert one[0]['val/loss'] > one[1]['val/loss']
    places = [folder / Training(n, fixed=True).name for n in (1, 2)]
    assert distance(*map(weights, places)) < 1e-5
    assert relative_distance(*places) < 0.1


@pytest.mark.parametrize('launcher, processes', [('none', 1), ('slurm', 2)])
def test_two_processes_resumed(folder, fixed, launcher, processes, tmp_path):
    """With two it is the same to the last bit; with one, to rounding."""
    whole = folder / Training(2, fixed=True).name
    argv = [
        *(TRAIN, folder / f'{Training(processes, fixed=True).name}.py'),
        *('--work-dir', tmp_path / 'run', '--resume', whole / 'epoch_1.pth'),
        *('--launcher', launcher),
    ]
    done = [run(argv, tmp_path)] if processes == 1 else run_ranks(argv, tmp_path, slurm=True)
    assert [d.status for d in done] == [0] * processes, done[0].err
    assert 'resumed epoch: 1, iter: 3' in done[0].out and 'total batch' not in done[0].out
    apart = distance(weights(whole), weights(tmp_path / 'run'))
    assert apart == 0 if processes == 2 else 0 < apart < 1e-5


def test_another_total_batch_is_said(folder, fixed, tmp_path):
    whole = folder / Training(2, fixed=True).name
    argv = [TRAIN, folder / f'{whole.name}.py', '--work-dir', tmp_path, '--resume']
    done = run([*argv, whole / 'epoch_1.pth'], tmp_path)
    assert done.status == 0, done.err
    assert 'resumed with a total batch of 2, begun with 4: the learning rate stays' in done.out


def test_the_same_figures(folder, fixed, cfg):
    """Three processes share two persons: one has none."""
    checkpoint = str(folder / Training(fixed=True).name / 'epoch_2.pth')
    config = folder / 'tiny.py'
    (one, ours), (three, theirs) = (
        measure_distributed.test(n, config, checkpoint, folder) for n in (1, 3)
    )
    assert one == three and {'PCKh', 'box/PCK'} <= one.keys()
    assert ours.shape == (2, 16, 2) and np.array_equal(ours, theirs)


def test_the_same_figures_of_coco(folder):
    """Two processes share nine persons, in batches of two."""
    data = folder / 'coco'
    write_dataset(Recipe('coco', 0, 2), data)
    config = tiny_run.write_config(folder / 'coco.py', data, COCO.format(data=data))
    checkpoint = tiny_run.write_weights(config, folder / 'coco.pth', deviation=0.1)
    (one, ours), (two, theirs) = (
        measure_distributed.test(n, config, checkpoint, folder) for n in (1, 2)
    )
    assert one == two and 'coco/AP' in one
    assert len(ours) == 9 and np.array_equal(ours, theirs) and len(np.unique(ours)) > 99


def test_batches_that_do_not_come_out_even(folder, cfg, tmp_path):
    """A process with fewer would leave the other one waiting."""
    options = ['train_dataloader.sampler.round_up=False', 'train_dataloader.dataset.indices=9']
    argv = [TRAIN, folder / 'tiny.py', '--work-dir', 'run', '--launcher', 'pytorch']
    for done in run_ranks([*argv, '--cfg-options', *options], tmp_path):
        assert done.error == (
            'error: train_dataloader: the number of batches is 2 in one process, 1 in another; '
            'set sampler.round_up=True'
        )


def test_two_processes_end_by_one_clock(folder, cfg, tmp_path):
    """And only the first one writes."""
    config = tiny_run.write_config(tmp_path / 'timed.py', folder / 'mpii', MPII + TIMED)
    (tmp_path / 'clocks.py').write_text(CLOCKS)
    argv = [tmp_path / 'clocks.py', TRAIN, config, '--work-dir', 'run', '--launcher', 'pytorch']
    done = run_ranks(argv, tmp_path)
    assert [d.status for d in done] == [0, 0], done[0].err + done[1].err
    names = {path.name for path in (tmp_path / 'run').iterdir()}
    assert {'iter_4.pth', 'iter_5.pth', 'curves.png'} <= names
    assert len([*tmp_path.rglob('events.out.tfevents*')]) == 1
    entries = read_logs(tmp_path / 'run')
    assert [[e['step'] for e in log if 'val/loss' in e] for log in entries] == [[3, 5]]


def test_fewer_gpus_than_processes_are_said_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    with pytest.raises(InputError, match='2 GPUs for up to 3 processes, which need one each'):
        measure_distributed.measure(None, 2, 1, tmp_path)


def test_two_nodes_says_what_it_needs(tmp_path):
    """Run it by hand: two machines are two network namespaces, and torchrun in each."""
    words = [REPOSITORY / 'tests/helpers/two_nodes.sh', 'dist_train.sh', 'a.py', '1']
    env = dict(PATH=str(tmp_path))
    for name in ('bash', 'dirname', 'realpath'):
        (tmp_path / name).symlink_to(shutil.which(name))
    done = subprocess.run(words, env=env, capture_output=True, text=True)
    needed = 'there is no ip; install iproute2' if os.geteuid() == 0 else 'network namespaces need'
    assert (done.returncode, done.stdout) == (77, '') and f'skipped: {needed}' in done.stderr
