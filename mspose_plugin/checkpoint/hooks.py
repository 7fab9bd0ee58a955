"""Checkpoints that survive a kill at any moment, and strict loading in mmengine's Runner."""

from __future__ import annotations

import os.path as osp
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from mmengine.dist import all_reduce_params, is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import BaseLoop, Runner
from mmpose.registry import HOOKS
from torch.optim import Optimizer

from mspose_plugin.checkpoint.resume_checks import (
    check_resumable,
    non_finite,
    refuse_non_finite,
)
from mspose_plugin.checkpoint.saving import (
    AtomicLocalBackend,
    find_latest_checkpoint,
    remove_unfinished,
)
from mspose_plugin.checkpoint.strict_loading import (
    EXTRA_STATE,
    load_for_prediction,
    load_strictly,
    weights_in,
)
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.errors import InputError
from mspose_plugin.utils.together import raise_together
from mspose_plugin.utils.wrappers import bare

OUTDATED = 'outdated_ckpts'
"""Key of mmengine's message hub: checkpoints that may go once a newer one is complete."""


class _LaterRemoval:
    """A storage back-end that passes on what is to be removed in place of removing it."""

    def __init__(self, backend: Any, note: Callable[[str], None]) -> None:
        self.backend = backend
        self.remove = self.rmtree = note

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """mmengine's CheckpointHook with an order of steps that a kill cannot break.

    mmengine removes the oldest and the previous best checkpoint before it writes the new one, and
    truncates ``last_checkpoint`` before it fills it. Here the new file is complete, then
    ``last_checkpoint`` names it (by rename), then the old one goes; and only files of this run's
    own folder go, whatever a resumed checkpoint says. Weights that are not finite are not written.
    Buffers such as the statistics of batch norms are the mean over the processes. Arguments as in
    mmengine.

    Raises:
        InputError: at a save: weights are not finite, or the file cannot be written.
    """

    file_backend: Any

    def before_train(self, runner) -> None:
        """Find the folder, and clear it of what a killed run left behind."""
        super().before_train(runner)
        self._written = None
        if runner._resume:
            # It may have a validation to make up for, whose score mmengine writes into the last
            # checkpoint only where it knows of one. The path in the checkpoint may be out of date.
            self._written = runner._load_from or find_latest_checkpoint(runner.work_dir)
            self.last_ckpt = self._written
            runner.message_hub.update_info('last_ckpt', self._written)
        if is_main_process():
            for folder in {self.out_dir, runner.work_dir}:
                remove_unfinished(folder)
        self._remove_outdated(runner)

    def before_run(self, runner) -> None:
        """Note which buffers are meant not to be finite, such as a mask of -inf."""
        self._ignored = frozenset(non_finite(dict(bare(runner.model).named_buffers())))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse weights that are not finite; mmengine calls this in the main process alone.

        What modules note beside their weights (``_extra_state``) is the running model's: EMAHook,
        which has put its average in place by now, copied the model before the first stage.

        Args:
            runner: the runner.
            checkpoint: what is about to be written, as an epoch's or a best checkpoint.
        """
        weights = checkpoint['state_dict']
        noted = bare(runner.model).state_dict()
        weights.update({k: noted[k] for k in weights.keys() & noted if k.endswith(EXTRA_STATE)})
        broken = next(non_finite(weights, self._ignored), None)
        meta = checkpoint['meta']
        good = f'; the last good checkpoint is {self._written}' if self._written else ''
        check(
            broken is None,
            f'training stopped: weights not finite (first {broken}) after epoch {meta["epoch"]}, '
            f'step {meta["iter"]}, and not saved; lower the learning rate or clip gradients '
            f'(optim_wrapper.clip_grad){good}',
        )

    def _note_outdated(self, runner, path: str) -> None:
        """Plan a removal. Every checkpoint written before it knows of it, for a resumed run."""
        noted = runner.message_hub.runtime_info.get(OUTDATED, [])
        runner.message_hub.update_info(OUTDATED, [*noted, path])

    def _remove_outdated(self, runner) -> None:
        """Carry out the planned removals."""
        in_use = {
            getattr(self, 'best_ckpt_path', None),
            *getattr(self, 'best_ckpt_path_dict', {}).values(),
        }
        for path in runner.message_hub.runtime_info.get(OUTDATED, []):
            # a run resumed from elsewhere inherits the checkpoints of the other one
            own = osp.realpath(osp.dirname(path)) == osp.realpath(self.out_dir)
            if own and path not in in_use and is_main_process() and self.file_backend.isfile(path):
                self.file_backend.remove(path)
        runner.message_hub.update_info(OUTDATED, [])

    @contextmanager
    def _failing_together(self) -> Iterator[None]:
        """Turn a failure of the main process to save into one of all processes."""
        fault = None
        try:
            yield
        except InputError as e:
            fault = str(e)
        except OSError as e:
            fault = (
                f'checkpoint: cannot be written to {self.out_dir} ({e.strerror or e}); make '
                'room or mend the permissions, then continue with --resume'
            )
        raise_together(fault)

    def _save_checkpoint(self, runner) -> None:
        # Batch norms have statistics of their own in every process. SyncBuffersHook averages them
        # after an epoch and before a validation, which a checkpoint by iterations precedes.
        all_reduce_params(runner.model.buffers(), op='mean')
        with self._failing_together():
            super()._save_checkpoint(runner)

    def _save_best_checkpoint(self, runner, metrics: dict) -> None:
        unknown = {*(self.save_best and self.key_indicators or ())} - {'auto', *metrics}
        check(
            not unknown,
            f'checkpoint hook: save_best={", ".join(sorted(unknown))} is not among the metrics '
            f'{", ".join(metrics)}; name one of those',
        )
        backend = self.file_backend
        self.file_backend = _LaterRemoval(backend, partial(self._note_outdated, runner))
        try:
            with self._failing_together():
                super()._save_best_checkpoint(runner, metrics)
        finally:
            self.file_backend = backend
        self._remove_outdated(runner)

    def _save_checkpoint_with_step(self, runner, step: int, meta: dict) -> None:
        if self.max_keep_ckpts > 0 and (not self.keep_ckpt_ids or self.keep_ckpt_ids[-1] != step):
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                outdated = self.filename_tmpl.format(self.keep_ckpt_ids.popleft())
                self._note_outdated(runner, self.file_backend.join_path(self.out_dir, outdated))
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))

        filename = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, filename)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            filename,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            AtomicLocalBackend().put_text(
                self.last_ckpt, osp.join(runner.work_dir, 'last_checkpoint')
            )
        self._written = self.last_ckpt
        if not isinstance(self.file_backend, _LaterRemoval):
            self._remove_outdated(runner)


def follow_weights(optimizer: Optimizer) -> None:
    """Lay out an optimizer's state in memory as the weights that it belongs to.

    Fused optimizers go through both side by side and do not look. A checkpoint written where the
    weights were laid out otherwise brings other state. Counts of steps go to the CPU where the
    optimizer reads each: mmengine loads them to the GPU, which every reading would wait for.

    Args:
        optimizer: with its state loaded.
    """
    for group in optimizer.param_groups:
        on_device = group.get('fused') or group.get('capturable')
        for weights in group['params']:
            state = optimizer.state.get(weights, {})
            for name, value in state.items():
                if not isinstance(value, torch.Tensor):
                    continue
                if name == 'step':
                    state[name] = value if on_device else value.cpu()
                elif value.shape == weights.shape and value.stride() != weights.stride():
                    state[name] = torch.empty_like(weights, dtype=value.dtype).copy_(value)


@HOOKS.register_module()
class CheckpointFitHook(Hook):
    """Strict loading for tests and resumed trainings, where mmengine loads what fits.

    Training that starts from other weights (``load_from`` without ``resume``) is left to mmengine,
    except that what modules note beside their weights (``_extra_state``) is dropped: there the
    config says what the network is. Weights that are not finite are refused in any case.
    """

    priority = 'LOWEST'

    def before_train(self, runner) -> None:
        """Fit the optimizer's state, loaded by now, to the weights."""
        wrapper = runner.optim_wrapper
        for one in wrapper.values() if isinstance(wrapper, OptimWrapperDict) else (wrapper,):
            follow_weights(one.optimizer)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare the checkpoint's tensors with the model's.

        Args:
            runner: the runner.
            checkpoint: the loaded checkpoint.

        Raises:
            InputError: see :func:`~mspose_plugin.checkpoint.strict_loading.load_strictly` and
                :func:`~mspose_plugin.checkpoint.resume_checks.check_resumable`; or a tensor is not
                finite.
        """
        training = isinstance(runner._train_loop, BaseLoop)  # a dict until it is used
        name = f'checkpoint {runner._load_from or find_latest_checkpoint(runner.work_dir)}'
        model = bare(runner.model)
        if not training:
            load_for_prediction(model, checkpoint, name)
            return
        weights = weights_in(checkpoint, name)
        refuse_non_finite(weights, name, model)
        if not runner._resume:
            for key in [key for key in weights if str(key).endswith(EXTRA_STATE)]:
                del weights[key]
            return
        check_resumable(checkpoint, name, runner)
        load_strictly(model, weights, name)
