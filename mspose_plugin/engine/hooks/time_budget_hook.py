"""Training for a given time, however fast the machine is."""

from __future__ import annotations

import math
import time

import torch
from mmengine.dist import broadcast
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop
from mmpose.registry import HOOKS

from mspose_plugin.utils.checks import check, check_number, check_positive

_USED = 'time_budget_seconds'


@HOOKS.register_module()
class TimeBudgetHook(Hook):
    """Ends a training when its time is up, with one cycle of the learning rate over that time.

    The rate rises linearly from a 25th of the optimizer's to all of it, then falls along half a
    cosine to almost nothing, as with ``OneCycleLR``, by the share of the time that has passed. The
    number of iterations is estimated from the pace so far, so that the log's ETA is right and the
    last iteration is one like any other: checkpoints and validation happen as usual. The time
    counts from the first iteration; a resumed training has what is left. All processes go by the
    first one's clock.

    It needs an ``IterBasedTrainLoop`` (its ``max_iters`` is a bound) and no ``param_scheduler`` of
    the learning rate. All of it is ours.

    Args:
        minutes: the time.
        warmup: the share of it in which the rate rises. Defaults to 0.1.

    Raises:
        InputError: a time that is not positive, a share outside 0 to 1, or another loop.
    """

    priority = 'VERY_HIGH'  # the rate and the last iteration are known to all other hooks

    def __init__(self, minutes: float, warmup: float = 0.1) -> None:
        check_positive('TimeBudgetHook: minutes', minutes)
        check_number('TimeBudgetHook: warmup', warmup, 0, 1)
        self.seconds = 60.0 * minutes
        self.warmup = warmup
        self._start = self._began = 0.0
        self._bound = self._first = 0

    def before_train(self, runner) -> None:
        """Check the loop, and note where the training begins."""
        loop = runner.train_loop
        needed = 'TimeBudgetHook: set train_cfg.type to IterBasedTrainLoop'
        check(isinstance(loop, IterBasedTrainLoop), needed)
        self._bound, self._first = loop.max_iters, runner.iter

    def before_train_iter(self, runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Set the rate, and the number of iterations."""
        done = runner.iter - self._first
        if not done:  # not in before_train: a resumed loop then passes over the data it had
            self._start = time.monotonic() - runner.message_hub.get_info(_USED, 0.0)
            self._began = self._elapsed()
        used = self._elapsed()
        for group in runner.optim_wrapper.param_groups:
            group.setdefault('initial_lr', group['lr'])
            group['lr'] = group['initial_lr'] * self.factor(min(used / self.seconds, 1.0))
        if done:
            # an iteration that would end after the time is the last one
            left = int((self.seconds - used) * done / (used - self._began))
            runner.train_loop._max_iters = min(self._bound, runner.iter + max(left, 1))

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Note the time for checkpoints."""
        runner.message_hub.update_info(_USED, time.monotonic() - self._start)

    def factor(self, share: float) -> float:
        """Return the learning rate after a share of the time, relative to the optimizer's."""
        if share < self.warmup:
            return 0.04 + 0.96 * share / self.warmup
        fall = (share - self.warmup) / max(1.0 - self.warmup, 1e-9)
        return 0.5 * (1.0 + math.cos(math.pi * fall)) + 1e-4

    def _elapsed(self) -> float:
        used = torch.tensor(time.monotonic() - self._start, dtype=torch.float64)
        broadcast(used)
        return float(used)
