"""Trainings that end when their time is up."""

from types import SimpleNamespace

import pytest
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop

from mspose_plugin.engine.hooks import TimeBudgetHook, time_budget_hook
from mspose_plugin.utils.errors import InputError


class Clock:
    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(time_budget_hook.time, 'monotonic', lambda: self.now)


def make_runner(kind=IterBasedTrainLoop, max_iters=10**6, groups=(0.1, 0.01)):
    loop = object.__new__(kind)
    loop._max_iters = max_iters
    info = {}
    hub = SimpleNamespace(get_info=info.get, update_info=info.__setitem__)
    wrapper = SimpleNamespace(param_groups=[dict(lr=lr) for lr in groups])
    return SimpleNamespace(train_loop=loop, message_hub=hub, optim_wrapper=wrapper, iter=0)


def train(runner, hook, clock, seconds_of, skipped=0.0):
    """Run mmengine's loop, without its network; return the first group's rates."""
    rates = []
    hook.before_train(runner)
    clock.now += skipped  # the loop passes over the data of a resumed training
    while runner.iter < runner.train_loop.max_iters:
        hook.before_train_iter(runner, runner.iter)
        rates.append([group['lr'] for group in runner.optim_wrapper.param_groups])
        clock.now += seconds_of(runner.iter)
        hook.after_train_iter(runner, runner.iter)
        runner.iter += 1
    return rates


@pytest.mark.parametrize(
    'seconds_of',
    [lambda i: 0.1, lambda i: 1.0, lambda i: 5.0 if i == 0 else 0.2, lambda i: 0.2 + 0.01 * i],
    ids=['fast', 'slow', 'slow at first', 'slowing down'],
)
def test_it_ends_in_time(monkeypatch, seconds_of):
    clock, runner = Clock(monkeypatch), make_runner()
    rates = train(runner, TimeBudgetHook(1.0), clock, seconds_of)
    assert 59.0 - seconds_of(len(rates)) < clock.now - 1000.0 <= 60.0 + seconds_of(len(rates))
    first = [a for a, _ in rates]
    assert first[0] == pytest.approx(0.004) and max(first) == pytest.approx(0.1, rel=0.03)
    assert first[-1] < 0.002
    top = first.index(max(first))
    assert first[: top + 1] == sorted(first[: top + 1])
    assert first[top:] == sorted(first[top:], reverse=True)
    assert [b for _, b in rates] == pytest.approx([0.1 * a for a in first])


def test_a_resumed_training_has_the_rest(monkeypatch):
    clock, runner = Clock(monkeypatch), make_runner()
    hook = TimeBudgetHook(1.0)
    hook.before_train(runner)
    for _ in range(30):
        hook.before_train_iter(runner, runner.iter)
        clock.now += 1.0
        hook.after_train_iter(runner, runner.iter)
        runner.iter += 1
    clock.now += 500.0  # the machine was off
    rates = train(runner, TimeBudgetHook(1.0), clock, lambda i: 1.0, skipped=40.0)
    assert 28 <= len(rates) <= 31
    assert rates[0][0] < 0.07  # where the cycle had come to


def test_an_iteration_longer_than_all(monkeypatch):
    clock, runner = Clock(monkeypatch), make_runner()
    assert len(train(runner, TimeBudgetHook(0.1), clock, lambda i: 100.0)) == 2
    assert len(train(make_runner(max_iters=1), TimeBudgetHook(9), clock, lambda i: 1.0)) == 1


def test_what_it_needs():
    with pytest.raises(InputError, match='IterBasedTrainLoop'):
        TimeBudgetHook(1.0).before_train(make_runner(EpochBasedTrainLoop))
    for wrong in (dict(minutes=0), dict(minutes=1, warmup=2), dict(minutes='long')):
        with pytest.raises(InputError, match='TimeBudgetHook'):
            TimeBudgetHook(**wrong)
