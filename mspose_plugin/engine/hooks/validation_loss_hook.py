"""The loss on the validation set, which MMPose's pose estimators do not compute.

mmengine's validation loop logs a loss where a model returns one beside its predictions, under the
training's own name. A loss needs targets, which validation pipelines do not make. This hook makes
them and computes the loss for any model that has one, under a name of its own.
"""

from __future__ import annotations

from typing import Any

import torch
from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.runner import Runner, autocast
from mmpose.registry import HOOKS

from mspose_plugin.utils.checks import check
from mspose_plugin.utils.curves import VALIDATION_LOSS
from mspose_plugin.utils.wrappers import bare, with_pipeline


@HOOKS.register_module()
class ValidationLossHook(Hook):
    """Adds ``val/loss`` to the metrics of every validation during training.

    It is the mean over the persons of what the training minimises, on batches of the validation
    pipeline, in evaluation mode: without augmentation, with the statistics of batch norms that
    predictions have. The training pipeline's steps from ``GenerateTarget`` to ``PackPoseInputs``
    are put before the validation pipeline's last. It costs one more pass through the network; a
    schedule or the best checkpoint can go by it (``monitor='val/loss'``).

    Raises:
        InputError: a validation on a detector's boxes, which have no true keypoints, or a training
            pipeline without ``GenerateTarget``.
    """

    priority = 'HIGHEST'  # before others read the metrics, and the log

    def __init__(self) -> None:
        self._sum, self._persons = 0.0, 0

    def before_train(self, runner: Runner) -> None:
        """Let the validation pipeline make targets; its processes have not started yet."""
        if runner.val_loop is None:
            return
        train, val = (
            next(with_pipeline(loop.dataloader.dataset), None)
            for loop in (runner.train_loop, runner.val_loop)
        )
        name = type(self).__name__
        steps_known = all(hasattr(getattr(d, 'pipeline', None), 'transforms') for d in (train, val))
        check(steps_known, f'{name}: a data set without a pipeline; leave the hook out')
        assert train and val
        needed = 'the validation set needs true keypoints; leave bbox_file or the hook out'
        check(not getattr(val, 'bbox_file', None), f'{name}: {needed}')
        kinds = [type(step).__name__ for step in train.pipeline.transforms]
        steps = 'train_pipeline has no GenerateTarget'
        check('GenerateTarget' in kinds, f'{name}: {steps}; leave the hook out')
        made = train.pipeline.transforms[kinds.index('GenerateTarget') : -1]
        last = len(val.pipeline.transforms) - 1
        val.pipeline.transforms[last:last] = [s for s in made if s not in val.pipeline.transforms]

    def before_val_epoch(self, runner: Runner) -> None:
        """Begin a mean, and forget the last one: the log smooths what is called a loss."""
        runner.message_hub.log_scalars.pop(f'val/{VALIDATION_LOSS}', None)
        self._sum, self._persons = 0.0, 0

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Add a batch's loss, weighted by its persons."""
        model = bare(runner.model)
        with torch.no_grad(), autocast(enabled=getattr(runner.val_loop, 'fp16', False)):
            data = model.data_preprocessor(data_batch, False)
            losses = model._run_forward(data, mode='loss')
        loss, _ = model.parse_losses(losses)
        persons = len(data_batch['data_samples'])
        self._sum += float(loss) * persons
        self._persons += persons

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Put the mean over all processes among the metrics."""
        total, persons = map(sum, zip(*all_gather_object((self._sum, self._persons))))
        if metrics is not None and persons:
            metrics[VALIDATION_LOSS] = total / persons
