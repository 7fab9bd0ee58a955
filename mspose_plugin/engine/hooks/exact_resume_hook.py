"""A resumed run continues exactly as an uninterrupted one would have.

mmengine saves an epoch's checkpoint before the epoch's validation and continues, when resumed, with
the next epoch. ``ReduceOnPlateauLR`` then misses one validation result and may reduce the learning
rate an epoch late, and that epoch can no longer become the best one. Nor does a checkpoint hold
the state of the random number generators.
"""

from __future__ import annotations

from bisect import bisect

from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, set_random_seed
from mmpose.registry import HOOKS

_VALIDATED = 'last_validation_epoch'
_BATCH = 'total_batch_size'
_EPOCH, _ITER = 'begun_epoch', 'begun_iter'  # of the epoch that runs, and where it began


@HOOKS.register_module()
class ExactResumeHook(Hook):
    """Runs the validation that an interrupted run missed, and seeds every epoch.

    With the same data order, a run resumed at an epoch is then bit-identical to an uninterrupted
    one on a CPU with ``num_workers=0``. Augmentation in worker processes has generators of its
    own: there a resumed run draws other, equally distributed numbers.

    Args:
        reseed: seed Python, NumPy and PyTorch in this process at the start of every epoch,
            from the run's seed, the epoch and the rank. Defaults to True.
    """

    priority = 'LOWEST'  # before_train: when all other hooks are ready for a validation

    def __init__(self, reseed: bool = True) -> None:
        self.reseed = reseed

    def before_train(self, runner) -> None:
        """Validate once more where the checkpoint was written before its validation."""
        self._compare_batches(runner)
        self._say_repeated(runner)
        loop, epoch = runner.train_loop, runner.epoch
        if runner.val_loop is None or epoch == 0 or not isinstance(loop, EpochBasedTrainLoop):
            return
        interval = loop.dynamic_intervals[bisect(loop.dynamic_milestones, epoch + 1) - 1]
        due = epoch >= loop.val_begin and (epoch % interval == 0 or epoch == loop.max_epochs)
        if due and runner.message_hub.get_info(_VALIDATED) != epoch:
            runner.logger.info(
                f'The checkpoint precedes the validation of epoch {epoch}: validating now'
            )
            runner.val_loop.run()

    @staticmethod
    def _compare_batches(runner) -> None:
        """Say that the learning rate is that of the checkpoint's total batch size."""
        size = (runner.train_dataloader.batch_size or 0) * get_world_size()
        before = runner.message_hub.get_info(_BATCH, size)
        if before != size:
            runner.logger.warning(
                f'resumed with a total batch of {size}, begun with {before}: the learning rate '
                'stays the checkpoint\'s; take as many processes and the same batch_size to go on '
                'as before'
            )
        runner.message_hub.update_info(_BATCH, before)

    @staticmethod
    def _say_repeated(runner) -> None:
        """Say that an epoch within which the checkpoint was written begins again."""
        info = runner.message_hub.get_info
        steps = runner.iter - info(_ITER, runner.iter)
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        if by_epoch and steps and info(_EPOCH) == runner.epoch:
            runner.logger.warning(
                f'the checkpoint was written {steps} steps into epoch {runner.epoch + 1}, which '
                'begins again; checkpoints of whole epochs '
                '(default_hooks.checkpoint.by_epoch=True) repeat nothing'
            )

    def before_val_epoch(self, runner) -> None:
        """Note the epoch, so that a checkpoint written after its validation says so."""
        runner.message_hub.update_info(_VALIDATED, runner.epoch)

    def before_train_epoch(self, runner) -> None:
        """Note where the epoch begins, and seed the generators of this process."""
        runner.message_hub.update_info(_EPOCH, runner.epoch)
        runner.message_hub.update_info(_ITER, runner.iter)
        if self.reseed:
            seed = runner.seed + runner.epoch * get_world_size() + get_rank()
            set_random_seed(seed % 2**32)
