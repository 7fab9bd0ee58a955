"""A data loader that stops delivering ends the run instead of blocking it for ever."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmpose.registry import HOOKS

from mspose_plugin.utils.checks import check_positive


@HOOKS.register_module()
class LoaderTimeoutHook(Hook):
    """Gives every data loader with worker processes a time limit for a batch.

    If the shared memory is full, or a file system hangs, a worker neither delivers nor ends, and
    PyTorch waits for it indefinitely. A ``timeout`` in a loader's config takes precedence;
    ``IterBasedTrainLoop`` starts its loader before any hook runs, and needs it there.

    Args:
        seconds: how long the main process waits for one batch. Defaults to 600 (ours: far
            above what a batch takes on slow storage, the start of the workers included).

    Raises:
        InputError: ``seconds`` is not positive.
    """

    def __init__(self, seconds: float = 600) -> None:
        check_positive('LoaderTimeoutHook: seconds', seconds)
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
