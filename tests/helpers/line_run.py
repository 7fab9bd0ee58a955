"""The smallest training: a linear layer, two samples, validation scores as given."""

from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from mspose_plugin.checkpoint.hooks import AtomicCheckpointHook, CheckpointFitHook


class Line(BaseModel):
    """One linear layer, and a second loss that takes the values of ``extra`` in turn."""

    def __init__(self, width=2, extra=()):
        super().__init__()
        self.layer = nn.Linear(width, 1)
        self.extra = list(extra)

    def forward(self, x, mode='tensor'):
        """Return the losses, or a prediction."""
        out = self.layer(torch.stack(x) if isinstance(x, list) else x)
        if mode != 'loss':
            return [out]
        losses = dict(loss_line=out.square().mean())
        if self.extra:
            losses['loss_extra'] = torch.tensor(self.extra.pop(0))  # has no gradient
        return losses


class Score(BaseMetric):
    """Gives the scores of ``values`` one after the other."""

    default_prefix = ''
    values: list[float] = []

    def process(self, data_batch, data_samples):
        """Collect nothing."""
        self.results.append(0)

    def compute_metrics(self, results):
        """Return the next score."""
        return dict(score=self.values.pop(0))


def train(
    folder: Path,
    scores: Sequence[float],
    model: nn.Module | None = None,
    samples: int = 2,
    hooks: Sequence[dict] = (),
    **more,
) -> Runner:
    """Train a Line, one epoch for each score, and return the Runner.

    Args:
        folder: work directory.
        scores: of the validations.
        model: Defaults to None, a new :class:`Line`.
        samples: steps of an epoch. Defaults to 2.
        hooks: more hooks. Defaults to none.
        **more: ``epochs``, and arguments of the Runner.
    """
    Score.values = list(scores)
    torch.manual_seed(0)
    data = dict(
        batch_size=1,
        num_workers=0,
        dataset=[torch.ones(2)] * samples,
        sampler=dict(type='DefaultSampler', shuffle=False),
    )
    hook = dict(
        type=AtomicCheckpointHook, interval=1, max_keep_ckpts=1, save_best='score', rule='greater'
    )
    runner = Runner(
        model or Line(),
        str(folder),
        data,
        data,
        train_cfg=dict(by_epoch=True, max_epochs=more.pop('epochs', len(scores))),
        val_cfg=dict(),
        val_evaluator=dict(type=Score),
        custom_hooks=[dict(type=CheckpointFitHook), *hooks],
        optim_wrapper=more.pop(
            'optim_wrapper', dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9))
        ),
        default_hooks=dict(checkpoint=hook),
        default_scope='mmpose',
        log_level='ERROR',
        experiment_name=f'{folder.parent.name}{folder.name}{len(scores)}{id(scores)}',
        **more,
    )
    runner.train()
    return runner
