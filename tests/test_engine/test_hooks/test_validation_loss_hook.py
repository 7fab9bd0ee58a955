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
# each process has batch statistics of its own, of which the checkpoint has the first's
default_hooks['sync'] = dict(type='SyncBuffersHook')
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
    return [entry for entry in entries if 'epoch' not in entry]


@pytest.mark.parametrize('ranks', [1, 2])
def test_it_is_the_mean_over_all_persons(config, tmp_path, ranks):
    argv = [TRAIN, config, '--work-dir', 'run']
    if ranks == 1:
        done = [run(argv, tmp_path)]
    else:
        done = run_ranks([*argv, '--launcher', 'pytorch'], tmp_path)
    assert [d.status for d in done] == [0] * ranks, done[0].err
    for epoch, metrics in enumerate(logged(tmp_path), 1):
        by_hand = loss_of(config, tmp_path / f'run/epoch_{epoch}.pth')
        assert metrics['val/loss'] == pytest.approx(by_hand, rel=1e-5)
        assert 'PCKh' in metrics  # as without
    assert list((tmp_path / 'run').glob('best_val_loss_epoch_*.pth'))


def test_it_needs_targets(config, tmp_path):
    path = tmp_path / 'other.py'
    path.write_text(config.read_text() + '\ntrain_pipeline.pop(-2)\n')
    assert 'train_pipeline has no GenerateTarget' in run([TRAIN, path], tmp_path).error
