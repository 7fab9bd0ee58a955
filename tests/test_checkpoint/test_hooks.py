"""The order in which checkpoints come and go, and checkpoints that do not fit."""

import copy
from pathlib import Path

import pytest
import torch
from line_run import Line
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from mspose_plugin.checkpoint.hooks import AtomicCheckpointHook, follow_weights
from mspose_plugin.checkpoint.loading import load_checkpoint_file
from mspose_plugin.checkpoint.saving import AtomicLocalBackend
from mspose_plugin.checkpoint.strict_loading import load_strictly
from mspose_plugin.engine.hooks import ExactResumeHook
from mspose_plugin.engine.optim_wrappers import AutocastOptimWrapper, autocast_optim_wrapper
from mspose_plugin.utils.errors import InputError


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
    train([1.0, 2.0, 1.0])
    new = ['+epoch_2.pth', '+last_checkpoint']
    assert events == [
        '+epoch_1.pth',
        '+last_checkpoint',
        '+best_score_epoch_1.pth',
        '+epoch_1.pth',
        '+last_checkpoint',
        *new,
        '-epoch_1.pth',
        '+best_score_epoch_2.pth',
        *new,
        '-best_score_epoch_1.pth',
        '+epoch_3.pth',
        '+last_checkpoint',
        '-epoch_2.pth',
    ]
    assert names(tmp_path / 'run') == ['best_score_epoch_2.pth', 'epoch_3.pth']
    assert (tmp_path / 'run/last_checkpoint').read_text() == str(tmp_path / 'run/epoch_3.pth')


def test_a_failing_save_removes_nothing(train, tmp_path, monkeypatch):
    put = AtomicLocalBackend.put

    def full(self, obj, filepath):
        if 'epoch_2' in str(filepath):
            raise OSError('no space left')
        put(self, obj, filepath)

    monkeypatch.setattr(AtomicLocalBackend, 'put', full)
    with pytest.raises(InputError, match=r'written to .*run \(no space left\); make room'):
        train([1.0, 2.0])
    assert names(tmp_path / 'run') == ['best_score_epoch_1.pth', 'epoch_1.pth']


def test_resume_elsewhere_leaves_the_other_run_alone(train, tmp_path):
    train([1.0], 'first')
    train([2.0], 'second', epochs=2, resume=True, load_from=str(tmp_path / 'first/epoch_1.pth'))
    assert names(tmp_path / 'first') == ['best_score_epoch_1.pth', 'epoch_1.pth']
    assert names(tmp_path / 'second') == ['best_score_epoch_2.pth', 'epoch_2.pth']


def test_resume_continues_counters_and_state(train, tmp_path):
    train([1.0])
    (tmp_path / 'run/.epoch_9.pth.77.tmp').touch()
    runner = train([2.0], epochs=2, resume=True)
    assert (runner.epoch, runner.iter) == (2, 4)
    whole = train([1.0, 2.0], 'whole')
    for ours, theirs in zip(runner.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert runner.message_hub.get_info('best_score') == 2
    assert names(tmp_path / 'run') == ['best_score_epoch_2.pth', 'epoch_2.pth']


def test_unknown_best_metric():
    hook = AtomicCheckpointHook(interval=1, save_best='PCKh', rule='greater')
    with pytest.raises(InputError, match='save_best=PCKh is not among the metrics score'):
        hook._save_best_checkpoint(None, dict(score=1.0))


def test_fit_is_checked_where_it_matters(train, tmp_path):
    train([1.0])
    path = str(tmp_path / 'run/epoch_1.pth')
    what = (
        r'epoch_1.pth does not fit the model: 1 tensors of another shape, first layer.weight '
        r'\(checkpoint \(1, 2\), model \(1, 3\)\)'
    )
    with pytest.raises(InputError, match=what):
        train([1.0], 'other', model=Line(3), resume=True, load_from=path)
    weights = tmp_path / 'weights.pth'
    torch.save(load_checkpoint_file(path)['state_dict'], weights)
    with pytest.raises(InputError, match='weights.pth holds weights without the state'):
        train([1.0], 'other', resume=True, load_from=str(weights))
    train([1.0], 'fine', load_from=str(weights))  # fine-tuning is left to mmengine


def test_load_strictly():
    class Renamed(nn.Linear):
        def _load_from_state_dict(self, state_dict, prefix, *args):
            if 'old' in state_dict:
                state_dict['weight'] = state_dict.pop('old')
            super()._load_from_state_dict(state_dict, prefix, *args)

    model, weight = nn.Linear(2, 1, bias=False), torch.full((1, 2), 3.0)
    load_strictly(model, {'module.weight': weight}, 'x')
    assert torch.equal(model.weight, weight)
    load_strictly(Renamed(2, 1, bias=False), {'old': weight}, 'x')  # the model's own hooks count
    for state, message in (
        ({}, '1 tensors missing, first weight;'),
        ({'weight': weight, 'a': 1, 'b': 2}, '2 tensors unexpected, first a;'),
        ({'weight': 'text'}, r'another shape, first weight \(checkpoint str'),
        ({'weight': weight.T}, r'\(checkpoint \(2, 1\), model \(1, 2\)\)'),
        ({3: weight}, '1 tensors missing, first weight; 1 tensors unexpected'),
    ):
        with pytest.raises(InputError, match=f'^x does not fit the model: .*{message}'):
            load_strictly(model, state, 'x')


@pytest.mark.parametrize('kind', ['AdamW', 'SGD'])
def test_a_fused_optimizer_continues_where_weights_are_laid_out_otherwise(kind):
    """It steps through weights and momenta side by side, whatever their layout."""
    options = dict(SGD=dict(momentum=0.9)).get(kind, {})
    values, gradient = torch.rand(4, 6, 3, 3), torch.rand(4, 6, 3, 3)

    def optimize(layout, steps, state=None):
        weights = values.to(memory_format=layout, copy=True).requires_grad_()
        optimizer = getattr(torch.optim, kind)([weights], lr=0.1, fused=True, **options)
        if state:
            optimizer.load_state_dict(copy.deepcopy(state))
            follow_weights(optimizer)
        for i in range(steps):
            weights.grad = (gradient * (i + 1)).to(memory_format=layout)
            optimizer.step()
        return weights.detach(), optimizer.state_dict()

    _, plain = optimize(torch.contiguous_format, 2)
    want, _ = optimize(torch.contiguous_format, 1, plain)
    got, _ = optimize(torch.channels_last, 1, plain)
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize('fused', [False, True])
def test_the_count_of_steps_is_where_the_optimizer_reads_it(fused):
    """mmengine loads it to the GPU; here one without memory."""
    with FakeTensorMode():
        weights = torch.rand(3, device='cuda', requires_grad=True)
        optimizer = torch.optim.Adam([weights], fused=fused)
        step = torch.zeros((), device='cuda')
        optimizer.state[weights] = dict(step=step, exp_avg=torch.zeros(3, device='cuda'))
        follow_weights(optimizer)
        state = optimizer.state[weights]
    assert state['step'].device.type == ('cuda' if fused else 'cpu')
    assert state['exp_avg'].device.type == 'cuda'


def test_autocast_optim_wrapper():
    model = Line()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
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
    wrapper = AutocastOptimWrapper(optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
    with wrapper.optim_context(model):
        assert model(torch.ones(4, 2))[0].dtype == dtype


def test_a_validation_made_up_for_reaches_the_last_checkpoint(train, tmp_path):
    hooks = [dict(type=ExactResumeHook)]
    with pytest.raises(IndexError):  # stops in the validation of epoch 2
        train([1.0], epochs=2, hooks=hooks)
    path = tmp_path / 'run/epoch_2.pth'
    assert load_checkpoint_file(path)['message_hub']['runtime_info']['best_score'] == 1
    for score in (3.0, 4.0):  # the second time there is nothing left to make up for
        train([score], epochs=2, hooks=hooks, resume=True)
        said = load_checkpoint_file(path)['message_hub']['runtime_info']
        assert said['best_score'] == 3
        assert said['best_ckpt'] == str(tmp_path / 'run/best_score_epoch_2.pth')
    assert names(tmp_path / 'run') == ['best_score_epoch_2.pth', 'epoch_2.pth']


def test_an_epoch_that_begins_again_is_said(train, tmp_path, monkeypatch):
    by_step = dict(type=CheckpointHook, by_epoch=False, interval=1)
    train([1.0, 2.0], hooks=[dict(type=ExactResumeHook), by_step])
    said = []
    monkeypatch.setattr(MMLogger, 'warning', lambda self, text, *args: said.append(text))
    for name in ('epoch_2', 'iter_2', 'iter_3'):  # an epoch is two steps
        path = str(tmp_path / f'run/{name}.pth')
        more = dict(epochs=2, resume=True, load_from=path)
        train([3.0, 4.0], folder=name, hooks=[dict(type=ExactResumeHook)], **more)
    words = [text.partition(', which begins again')[0] for text in said if 'begins again' in text]
    # mmengine counts an epoch only once its last step's checkpoint is written
    assert words == [
        f'the checkpoint was written {n} steps into epoch {epoch}' for n, epoch in ((2, 1), (1, 2))
    ]


class Noted(Line):
    """Notes a number beside its weights, and may have a mask that is not finite."""

    def __init__(self, note, mask=False):
        super().__init__()
        self.note = note
        if mask:
            self.register_buffer('mask', torch.tensor([0.0, -torch.inf]))

    def get_extra_state(self):
        """Return the note."""
        return torch.tensor(self.note)

    def set_extra_state(self, state):
        """Take the note over."""
        self.note = int(state)


def test_extra_state_is_taken_over_by_a_resumed_run_alone(train, tmp_path):
    train([1.0], model=Noted(7))
    path = str(tmp_path / 'run/epoch_1.pth')
    assert train([1.0], 'finer', model=Noted(8), load_from=path).model.note == 8
    assert (
        train([1.0], 'go on', model=Noted(8), epochs=2, load_from=path, resume=True).model.note == 7
    )
    # a checkpoint from before the note
    checkpoint = load_checkpoint_file(path)
    checkpoint['state_dict'].pop('_extra_state')
    torch.save(checkpoint, path)
    assert (
        train([1.0], 'go on', model=Noted(8), epochs=2, load_from=path, resume=True).model.note == 8
    )
    model = Noted(8)
    assert (
        load_strictly(model, {'layer.weight': torch.ones(1, 2), 'layer.bias': torch.ones(1)}, 'x')
        == []
    )
    with pytest.raises(
        InputError, match='x does not fit the model: 1 tensors missing, first layer.bias;'
    ):
        load_strictly(model, {'layer.weight': torch.ones(1, 2)}, 'x')


class Poison(Hook):
    """Makes a weight infinite."""

    def after_train_epoch(self, runner):
        """Before the checkpoint is written."""
        runner.model.layer.weight.data[0, 0] = torch.inf


def test_weights_that_are_not_finite_are_neither_saved_nor_resumed(train, tmp_path):
    train([1.0], model=Noted(7, mask=True))  # a mask may be infinite
    train([1.0], model=Noted(7, mask=True), epochs=2, resume=True)
    before = names(tmp_path / 'run')
    with pytest.raises(
        InputError,
        match=(
            r'^training stopped: weights not finite \(first layer.weight\) after epoch 3, step 6, '
            r'and not saved; .*; the last good checkpoint is .*run/epoch_2.pth$'
        ),
    ):
        train([1.0], model=Noted(7, mask=True), epochs=3, resume=True, hooks=[Poison()])
    assert names(tmp_path / 'run') == before

    path = tmp_path / 'run/epoch_2.pth'
    checkpoint = load_checkpoint_file(path)
    checkpoint['state_dict']['layer.bias'].fill_(torch.nan)
    torch.save(checkpoint, path)
    for more in (
        dict(resume=True),
        dict(load_from=str(path), resume=True),
        dict(load_from=str(path)),
    ):
        with pytest.raises(
            InputError,
            match='run/epoch_2.pth: 1 tensors are not finite, first '
            'layer.bias; use a checkpoint from before',
        ):
            train([1.0], model=Noted(7, mask=True), epochs=3, **more)
