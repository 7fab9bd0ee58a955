"""A data loader that gives nothing more ends the run, in place of stopping it for ever."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmpose.registry import HOOKS

from mspose_plugin.utils.errors import InputError


@HOOKS.register_module()
class LoaderTimeoutHook(Hook):
    """Gives every data loader with worker processes a time limit for a batch.

    Where the shared memory is full, or a file system hangs, a worker neither delivers nor ends, and
    PyTorch waits for it without end. With ``timeout`` in a loader's config this hook leaves it as
    it is; ``IterBasedTrainLoop`` takes up its loader before any hook can, and needs it there.

    Args:
        seconds: how long the main process waits for one batch. Defaults to 600 (ours: far
            above what a batch takes on slow storage, the start of the workers included).

    Raises:
        InputError: ``seconds`` is not positive.
    """

    def __init__(self, seconds: float = 600) -> None:
        if not isinstance(seconds, (int, float)) or not seconds > 0:
            raise InputError(f'LoaderTimeoutHook: seconds={seconds!r}: expected a positive number')
        self.seconds = seconds

    def before_train(self, runner) -> None:
        """Set the limit for the training data."""
        self._limit(runner.train_dataloader)

    def before_val(self, runner) -> None:
        """Set the limit for the validation data."""
        self._limit(runner.val_dataloader)

    def before_test(self, runner) -> None:
        """Set the limit for the test data."""
        self._limit(runner.test_dataloader)

    def _limit(self, loader) -> None:
        if loader.num_workers and not loader.timeout:
            loader.timeout = self.seconds
