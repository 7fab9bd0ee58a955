"""The order in which checkpoints come and go, and checkpoints that do not fit."""
from pathlib import Path

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import nn

from mspose_plugin.checkpoint_io import AtomicLocalBackend, load_checkpoint_file
from mspose_plugin.engine import (
    AtomicCheckpointHook,
    AutocastOptimWrapper,
    CheckpointFitHook,
    autocast_optim_wrapper,
    load_fitting,
)
from mspose_plugin.errors import InputError


class Line(BaseModel):
    """One linear layer."""

    def __init__(self, width=2):
        super().__init__()
        self.layer = nn.Linear(width, 1)

    def forward(self, x, mode='tensor'):
        """Return a loss, or a prediction."""
        out = self.layer(torch.stack(x) if isinstance(x, list) else x)
        return dict(loss=out.square().mean()) if mode == 'loss' else [out]


class Score(BaseMetric):
    """Gives the scores of ``values`` one after the other."""

    default_prefix = ''
    values: list[float] = []

    def process(self, data_batch, data_samples):
        """Collect nothing."""
        self.results.append(0)

    def compute_metrics(self, results):
        """Return the next score."""
        return dict(score=self.values.pop(0))


@pytest.fixture()
def train(tmp_path):
    """Return a function that trains a Line, one epoch for each score, and returns the Runner."""
    data = dict(batch_size=1, num_workers=0, dataset=[torch.ones(2)] * 2,
                sampler=dict(type='DefaultSampler', shuffle=False))

    def run(scores, folder='run', width=2, **more):
        Score.values = list(scores)
        torch.manual_seed(0)
        hook = dict(type=AtomicCheckpointHook, interval=1, max_keep_ckpts=1, save_best='score',
                    rule='greater')
        runner = Runner(
            Line(width), str(tmp_path / folder), data, data,
            train_cfg=dict(by_epoch=True, max_epochs=more.pop('epochs', len(scores))),
            val_cfg=dict(), val_evaluator=dict(type=Score),
            custom_hooks=[dict(type=CheckpointFitHook)],
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=.1, momentum=.9)),
            default_hooks=dict(checkpoint=hook), default_scope='mmpose', log_level='ERROR',
            experiment_name=f'{tmp_path.name}{folder}{len(scores)}', **more)
        runner.train()
        return runner

    return run


def names(folder: Path) -> list[str]:
    """Return the checkpoints of a folder."""
    return sorted(p.name for p in folder.iterdir() if 'pth' in p.name)


def test_the_new_file_is_complete_before_the_old_one_goes(train, tmp_path, monkeypatch):
    events = []
    put, remove = AtomicLocalBackend.put, AtomicLocalBackend.remove

    def note_put(self, obj, filepath):
        put(self, obj, filepath)
        events.append(f'+{Path(filepath).name}')

    def note_remove(self, filepath):
        events.append(f'-{Path(filepath).name}')
        remove(self, filepath)

    monkeypatch.setattr(AtomicLocalBackend, 'put', note_put)
    monkeypatch.setattr(AtomicLocalBackend, 'remove', note_remove)
    train([1., 2., 1.])
    new = ['+epoch_2.pth', '+last_checkpoint']
    assert events == [
        '+epoch_1.pth', '+last_checkpoint', '+best_score_epoch_1.pth', '+epoch_1.pth',
        '+last_checkpoint',
        *new, '-epoch_1.pth', '+best_score_epoch_2.pth', *new, '-best_score_epoch_1.pth',
        '+epoch_3.pth', '+last_checkpoint', '-epoch_2.pth']
    assert names(tmp_path / 'run') == ['best_score_epoch_2.pth', 'epoch_3.pth']
    assert (tmp_path / 'run/last_checkpoint').read_text() == str(tmp_path / 'run/epoch_3.pth')


def test_a_failing_save_removes_nothing(train, tmp_path, monkeypatch):
    put = AtomicLocalBackend.put

    def full(self, obj, filepath):
        if 'epoch_2' in str(filepath):
            raise OSError('no space left')
        put(self, obj, filepath)

    monkeypatch.setattr(AtomicLocalBackend, 'put', full)
    with pytest.raises(InputError, match=r'cannot be written to .*run \(no space left\); make room'):
        train([1., 2.])
    assert names(tmp_path / 'run') == ['best_score_epoch_1.pth', 'epoch_1.pth']


def test_resume_elsewhere_leaves_the_other_run_alone(train, tmp_path):
    train([1.], 'first')
    train([2.], 'second', epochs=2, resume=True, load_from=str(tmp_path / 'first/epoch_1.pth'))
    assert names(tmp_path / 'first') == ['best_score_epoch_1.pth', 'epoch_1.pth']
    assert names(tmp_path / 'second') == ['best_score_epoch_2.pth', 'epoch_2.pth']


def test_resume_continues_counters_and_state(train, tmp_path):
    train([1.])
    (tmp_path / 'run/.epoch_9.pth.77.tmp').touch()
    runner = train([2.], epochs=2, resume=True)
    assert (runner.epoch, runner.iter) == (2, 4)
    whole = train([1., 2.], 'whole')
    for ours, theirs in zip(runner.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert runner.message_hub.get_info('best_score') == 2
    assert names(tmp_path / 'run') == ['best_score_epoch_2.pth', 'epoch_2.pth']


def test_unknown_best_metric():
    hook = AtomicCheckpointHook(interval=1, save_best='PCKh', rule='greater')
    with pytest.raises(InputError, match='save_best=PCKh is not among the metrics score'):
        hook._save_best_checkpoint(None, dict(score=1.))


def test_fit_is_checked_where_it_matters(train, tmp_path):
    train([1.])
    path = str(tmp_path / 'run/epoch_1.pth')
    what = r'epoch_1.pth does not fit the model: 1 tensors of another shape, first layer.weight ' \
           r'\(checkpoint \(1, 2\), model \(1, 3\)\)'
    with pytest.raises(InputError, match=what):
        train([1.], 'other', width=3, resume=True, load_from=path)
    weights = tmp_path / 'weights.pth'
    torch.save(load_checkpoint_file(path)['state_dict'], weights)
    with pytest.raises(InputError, match='weights.pth holds weights without the state'):
        train([1.], 'other', resume=True, load_from=str(weights))
    train([1.], 'fine', load_from=str(weights))  # fine-tuning is left to mmengine


def test_load_fitting():
    class Renamed(nn.Linear):
        def _load_from_state_dict(self, state_dict, prefix, *args):
            if 'old' in state_dict:
                state_dict['weight'] = state_dict.pop('old')
            super()._load_from_state_dict(state_dict, prefix, *args)

    model, weight = nn.Linear(2, 1, bias=False), torch.full((1, 2), 3.)
    load_fitting(model, {'module.weight': weight}, 'x')
    assert torch.equal(model.weight, weight)
    load_fitting(Renamed(2, 1, bias=False), {'old': weight}, 'x')  # the model's own hooks count
    for state, message in (({}, '1 tensors missing, first weight;'),
                           ({'weight': weight, 'a': 1, 'b': 2}, '2 tensors unexpected, first a;'),
                           ({'weight': 'text'}, r'another shape, first weight \(checkpoint str'),
                           ({'weight': weight.T}, r'\(checkpoint \(2, 1\), model \(1, 2\)\)'),
                           ({3: weight}, '1 tensors missing, first weight; 1 tensors unexpected')):
        with pytest.raises(InputError, match=f'^x does not fit the model: .*{message}'):
            load_fitting(model, state, 'x')


def test_autocast_optim_wrapper():
    model = Line()
    optimizer = torch.optim.SGD(model.parameters(), lr=.1)
    wrapper = AutocastOptimWrapper('bfloat16', optimizer=optimizer)
    before = model.layer.weight.detach().clone()
    with wrapper.optim_context(model):
        out = model(torch.ones(4, 2))[0]
    assert out.dtype == torch.bfloat16 and model.layer.weight.dtype == torch.float32
    wrapper.update_params(out.float().sum())
    assert not torch.equal(model.layer.weight, before)
    with OptimWrapper(optimizer).optim_context(model):
        assert model(torch.ones(4, 2))[0].dtype == torch.float32
    with pytest.raises(InputError, match="dtype='half': expected one of"):
        AutocastOptimWrapper('half', optimizer=optimizer)


@pytest.mark.parametrize('fast, dtype', [(True, torch.bfloat16), (False, torch.float32)])
def test_autocast_where_it_pays(fast, dtype, monkeypatch):
    monkeypatch.setattr(autocast_optim_wrapper, 'fast_bfloat16', lambda device: fast)
    model = Line()
    wrapper = AutocastOptimWrapper(optimizer=torch.optim.SGD(model.parameters(), lr=.1))
    with wrapper.optim_context(model):
        assert model(torch.ones(4, 2))[0].dtype == dtype
