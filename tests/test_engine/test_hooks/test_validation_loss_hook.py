"""``val/loss`` is what the head's loss gives on the validation set, in one process and in two."""

import json

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmpose.registry import DATASETS, MODELS
from tiny_run import TRAIN, run, run_ranks, write_config, write_mpii

import mspose_plugin  # noqa: F401

HOOK = '''
default_hooks['validation_loss'] = dict(type='ValidationLossHook')
param_scheduler[0].update(monitor='val/loss', rule='less')
default_hooks['checkpoint'] = dict(save_best='val/loss', rule='less')
train_cfg['max_epochs'] = 2
default_hooks['checkpoint']['max_keep_ckpts'] = 2
'''
ITERATIONS = '''
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=2, val_interval=1)
train_dataloader['sampler'] = dict(type='InfiniteSampler', shuffle=True)
default_hooks['checkpoint']['by_epoch'] = False
'''


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp('loss')
    return write_config(folder / 'tiny.py', write_mpii(folder / 'mpii', train=4, val=5), HOOK)


def loss_of(config, weights):
    """Return the mean of the persons' losses by hand, each in a batch of its own."""
    cfg = Config.fromfile(config)
    model = MODELS.build(cfg.model).eval()
    model.load_state_dict(torch.load(weights, weights_only=False)['state_dict'])
    pipeline = cfg.val_dataloader.dataset.pipeline
    pipeline.insert(-1, cfg.train_dataloader.dataset.pipeline[-2])
    assert pipeline[-2].type == 'GenerateTarget'
    losses = []
    with torch.no_grad():
        for sample in DATASETS.build(cfg.val_dataloader.dataset):
            data = model.data_preprocessor(pseudo_collate([sample]), False)
            losses.append(float(model.parse_losses(model(**data, mode='loss'))[0]))
    return sum(losses) / len(losses)


def logged(folder):
    (file,) = folder.glob('run/*/vis_data/scalars.json')
    entries = map(json.loads, file.read_text().splitlines())
    return [entry for entry in entries if 'val/loss' in entry]


@pytest.mark.parametrize('ranks, unit', [(1, 'epoch'), (2, 'iter')])
def test_it_is_the_mean_over_all_persons(config, tmp_path, ranks, unit):
    """Every process has batch norms of its own; the checkpoint has the mean that was validated."""
    if unit == 'iter':
        config = config.with_name('iterations.py')
        config.write_text(config.with_name('tiny.py').read_text() + ITERATIONS)
    argv = [TRAIN, config, '--work-dir', 'run']
    if ranks == 1:
        done = [run(argv, tmp_path)]
    else:
        done = run_ranks([*argv, '--launcher', 'pytorch'], tmp_path)
    assert [d.status for d in done] == [0] * ranks, done[0].err
    found = logged(tmp_path)
    assert len(found) == 2
    for number, metrics in enumerate(found, 1):
        by_hand = loss_of(config, tmp_path / f'run/{unit}_{number}.pth')
        assert metrics['val/loss'] == pytest.approx(by_hand, rel=1e-5)
        assert 'PCKh' in metrics  # as without
    assert list((tmp_path / 'run').glob(f'best_val_loss_{unit}_*.pth'))


def test_it_needs_targets(config, tmp_path):
    path = tmp_path / 'other.py'
    path.write_text(config.read_text() + '\ntrain_pipeline.pop(-2)\n')
    assert 'train_pipeline has no GenerateTarget' in run([TRAIN, path], tmp_path).error
