"""A training run whose loss has become NaN or infinite stops instead of running to its end."""

from __future__ import annotations

from math import isfinite

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS

from mspose_plugin.utils.checks import check_number
from mspose_plugin.utils.together import raise_together


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stops a training run after a number of consecutive steps whose loss is not finite.

    A single one may be a step that a gradient scaler skips, or one odd batch; after several in a
    row the weights are lost. The values are those that mmengine has fetched for the log, so that
    nothing waits for the GPU a second time. The processes of a distributed run synchronise every
    ``patience`` steps and stop together.

    ``AtomicCheckpointHook`` makes sure that such weights are never saved.

    Args:
        patience: steps in a row, 1 or more. Defaults to 5 (ours).

    Raises:
        InputError: at construction for a ``patience`` below 1; in training when it is exhausted.
    """

    def __init__(self, patience: int = 5) -> None:
        check_number('FiniteLossHook: patience', patience, 1, whole=True)
        self.patience = patience
        self._run = 0
        self._first = ''

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Look at the losses of a step.

        Args:
            runner: the runner.
            batch_idx: number of the step in its epoch, from 0.
            data_batch: not used.
            outputs: names the losses; those whose name holds ``loss`` count.
        """
        broken = [
            name
            for name in outputs or ()
            if 'loss' in name
            and not isfinite(runner.message_hub.get_scalar(f'train/{name}').current())
        ]
        if not broken:
            self._run = 0
        else:
            if not self._run:
                self._first = (
                    f'the first in epoch {runner.epoch + 1}, step {batch_idx + 1}: '
                    f'{", ".join(broken)}'
                )
            self._run += 1
        if get_world_size() > 1 and (runner.iter + 1) % self.patience:
            return
        fault = None
        if self._run >= self.patience:
            last = runner.message_hub.runtime_info.get('last_ckpt')
            fault = (
                f'training stopped: loss not finite in {self._run} steps in a row, '
                f'{self._first}; lower the learning rate or clip gradients '
                '(optim_wrapper.clip_grad)'
                + (f'; the last good checkpoint is {last}' if last else '')
            )
        raise_together(fault)
