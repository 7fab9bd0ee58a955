"""A loss that is not finite stops the training, where it stays so."""

import pytest
from line_run import Line

from mspose_plugin.engine.hooks import FiniteLossHook
from mspose_plugin.utils.errors import InputError

NAN, INF = float('nan'), float('inf')


def test_stops_after_steps_in_a_row_and_names_them(train, tmp_path):
    hooks = [FiniteLossHook(patience=3)]
    # two in a row are let through, also across the end of an epoch, and a finite one starts afresh
    extra = [0.0, NAN, INF, 0.0, NAN, INF, NAN, 0.0]
    with pytest.raises(InputError) as stopped:
        train([1.0, 1.0], model=Line(extra=extra), samples=4, hooks=hooks)
    assert str(stopped.value) == (
        'training stopped: loss not finite in 3 steps in a row, the first in epoch 2, step 1: '
        'loss, loss_extra; lower the learning rate or clip gradients (optim_wrapper.clip_grad); '
        f'the last good checkpoint is {tmp_path}/run/epoch_1.pth'
    )
    assert (tmp_path / 'run/epoch_1.pth').is_file()


def test_single_steps_are_let_through(train):
    extra = [NAN, 0.0, INF, 0.0, NAN, NAN, 0.0, -INF]
    runner = train([1.0, 1.0], model=Line(extra=extra), samples=4, hooks=[FiniteLossHook(3)])
    assert runner.iter == 8


def test_no_checkpoint_yet(train):
    with pytest.raises(InputError, match=r'in epoch 1, step 1: loss, loss_extra; .*clip_grad\)$'):
        train([1.0], model=Line(extra=[NAN]), hooks=[FiniteLossHook(patience=1)])


@pytest.mark.parametrize('patience', [0, -1, 2.5, True, None])
def test_patience(patience):
    with pytest.raises(InputError, match=r'patience=.*: expected a whole number of 1 or more'):
        FiniteLossHook(patience)
