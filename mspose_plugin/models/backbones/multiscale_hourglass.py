"""Stacked hourglass with a prediction at every deconv level.

Network: Newell, Yang, Deng, "Stacked Hourglass Networks for Human Pose Estimation", ECCV 2016,
https://arxiv.org/abs/1603.06937. Multi-scale supervision: Ke, Chang, Qi, Lyu, "Multi-Scale
Structure-Aware Network for Human Pose Estimation" (MSSPose), ECCV 2018, §3.1,
https://arxiv.org/abs/1803.09894.

With ``levels=(1, )`` this is the published stacked hourglass, parameter for parameter. What
MSSPose adds is one 1x1 convolution per coarser level. Ours: which levels those are (1/8, 1/4 and
1/2 of the output; the paper shows them in a figure only), and what ``layers/hourglass.py`` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from mspose_plugin.models.layers import HourglassOutput, HourglassStack, Residual, check_levels
from mspose_plugin.utils.checks import check_choice, check_number, check_value
from mspose_plugin.utils.errors import InputError

_WIDTHS = 'an even width (a residual works on half of it), and three in the stem, two of them even'


@contextmanager
def _statistics_kept(module: nn.Module) -> Iterator[None]:
    """Leave running statistics as they are: a recomputation sees a batch for the second time."""
    norms = {
        m: (m.momentum, m.num_batches_tracked)
        for m in module.modules()
        if isinstance(m, _BatchNorm)
    }
    for norm, (_, count) in norms.items():  # SyncBatchNorm does not go without a count
        norm.momentum, norm.num_batches_tracked = 0.0, None if count is None else count.clone()
    try:
        yield
    finally:
        for norm, (momentum, count) in norms.items():
            norm.momentum, norm.num_batches_tracked = momentum, count


def _recomputed(stack: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    """Run a stack without keeping its activations for the backward pass."""
    return checkpoint(
        stack, x, use_reentrant=False, context_fn=lambda: (nullcontext(), _statistics_kept(stack))
    )


@MODELS.register_module()
class MultiScaleHourglass(BaseModule):
    """Newell's stacked hourglass, predicting heatmaps at several levels of every stack.

    Args:
        num_keypoints: K, number of heatmaps. Defaults to 16 (MPII).
        num_stacks: number of hourglasses in a row. Defaults to 8 (the published network).
        channels: width of the hourglasses. Defaults to 256.
        depth: number of times an hourglass halves the resolution. Defaults to 4.
        levels: down-sampling factors, relative to the finest heatmap, at which
            heatmaps are predicted, coarse -> fine; must end in 1. ``(1, )`` is the published
            stacked hourglass. Defaults to ``(8, 4, 2, 1)``, this project's reading of MSSPose.
        stem_channels: widths after the 7x7 convolution and after the
            first two residuals of the stem; the third gives ``channels``. Defaults to a quarter,
            a half and a half of ``channels``, i.e. Newell's ``(64, 128, 128)``.
            bearpaw/pytorch-pose has ``(64, 128, 256)``.
        context: what ``forward`` returns beside the heatmaps, for :class:`MSRHead`: ``'stem'``
            (features ``[B, channels, H/4, W/4]`` before the first stack) or ``'image'`` (the
            input). Defaults to None (nothing).
        with_cp: recompute each stack in the backward pass instead of keeping its
            activations: less memory, about a third more time. Defaults to False.
        init_cfg: as in mmengine. Defaults to None (PyTorch's initialisation).

    Raises:
        InputError: levels that the depth does not have, or an odd width.

    Examples:
        >>> net = MultiScaleHourglass(num_stacks=2, channels=64).eval()
        >>> heatmaps = net(torch.zeros(1, 3, 256, 256))
        >>> len(heatmaps), [tuple(h.shape[1:]) for h in heatmaps[-1]]
        (2, [(16, 8, 8), (16, 16, 16), (16, 32, 32), (16, 64, 64)])
    """

    def __init__(
        self,
        num_keypoints: int = 16,
        num_stacks: int = 8,
        channels: int = 256,
        depth: int = 4,
        levels: Sequence[int] = (8, 4, 2, 1),
        stem_channels: Sequence[int] | None = None,
        context: str | None = None,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        check_number('backbone.num_stacks', num_stacks, 1, whole=True)
        check_number('backbone.num_keypoints', num_keypoints, 1, whole=True)
        check_levels('backbone.levels', levels, depth)
        stem = tuple(stem_channels or (channels // 4, channels // 2, channels // 2))
        even = all(c > 1 and c % 2 == 0 for c in (channels, *stem[1:]))
        fits = even and len(stem) == 3 and stem[0] > 0
        check_value(fits, 'backbone.channels, stem_channels', (channels, stem), _WIDTHS)
        check_choice('backbone.context', context, (None, 'stem', 'image'))
        self.num_keypoints, self.levels, self.context = num_keypoints, tuple(levels), context
        self.with_cp = with_cp
        self.divisor = 4 * 2**depth

        self.stem = nn.Sequential(
            nn.Conv2d(3, stem[0], 7, stride=2, padding=3),
            nn.BatchNorm2d(stem[0]),
            nn.ReLU(inplace=True),
            Residual(stem[0], stem[1]),
            nn.MaxPool2d(2),
            Residual(stem[1], stem[2]),
            Residual(stem[2], channels),
        )
        self.stacks = nn.ModuleList(
            HourglassStack(channels, depth, num_keypoints, self.levels) for _ in range(num_stacks)
        )
        self.merge_features = nn.ModuleList(
            nn.Conv2d(channels, channels, 1) for _ in range(num_stacks - 1)
        )
        self.merge_heatmaps = nn.ModuleList(
            nn.Conv2d(num_keypoints, channels, 1) for _ in range(num_stacks - 1)
        )

    def forward(self, x: Tensor) -> tuple[tuple[Tensor, ...], ...] | HourglassOutput:
        """Predict heatmaps at every level of every stack.

        Args:
            x: images ``[B, 3, H, W]``; H and W multiples of ``4 * 2**depth``.

        Returns:
            A tuple over stacks of tuples over ``levels`` (coarse -> fine) of heatmaps
            ``[B, K, H / (4 * level), W / (4 * level)]``; with ``context`` a
            :class:`HourglassOutput` of these and the context.

        Raises:
            InputError: an input size that the network cannot halve often enough.
        """
        size, n = tuple(x.shape[:1:-1]), self.divisor
        if size[0] % n or size[1] % n:
            raise InputError(
                f'codec.input_size={size}: expected multiples of {n} for the hourglass'
            )
        context = x if self.context == 'image' else None
        x = self.stem(x)
        context = x if self.context == 'stem' else context
        outputs = []
        recompute = self.with_cp and torch.is_grad_enabled()
        for i, stack in enumerate(self.stacks):
            features, *heatmaps = _recomputed(stack, x) if recompute else stack(x)
            outputs.append(tuple(heatmaps))
            if i < len(self.merge_features):
                x = x + self.merge_features[i](features) + self.merge_heatmaps[i](heatmaps[-1])
        return tuple(outputs) if context is None else HourglassOutput(tuple(outputs), context)
