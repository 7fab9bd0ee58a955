"""Stacked hourglass with a prediction at every deconv level.

Network: Newell, Yang, Deng, "Stacked Hourglass Networks for Human Pose Estimation", ECCV 2016,
https://arxiv.org/abs/1603.06937. Multi-scale supervision: Ke, Chang, Qi, Lyu, "Multi-Scale
Structure-Aware Network for Human Pose Estimation" (MSSPose), ECCV 2018, §3.1,
https://arxiv.org/abs/1803.09894.

With ``levels=(1, )`` this is the published stacked hourglass, parameter for parameter. What
MSSPose adds is one 1x1 convolution per coarser level. Ours: which levels those are (1/8, 1/4 and
1/2 of the output; the paper shows them in a figure only), and a BN-ReLU before the convolution,
since the sums of residual branches it reads have no fixed scale: with SGD and the paper's learning
rate training diverges without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from mspose_plugin.utils.errors import InputError


class Residual(nn.Module):
    """Pre-activation bottleneck (BN-ReLU-1x1, BN-ReLU-3x3, BN-ReLU-1x1) of the hourglass.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output; the 3x3 convolution works on half of them.
            A 1x1 projection joins the shortcut only where the two widths differ.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        mid = out_channels // 2
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, mid, 1)
        self.bn2 = nn.BatchNorm2d(mid)
        self.conv2 = nn.Conv2d(mid, mid, 3, padding=1)
        self.bn3 = nn.BatchNorm2d(mid)
        self.conv3 = nn.Conv2d(mid, out_channels, 1)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = (
            nn.Identity()
            if in_channels == out_channels
            else nn.Conv2d(in_channels, out_channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, in_channels, H, W]`` to ``[B, out_channels, H, W]``."""
        y = self.conv1(self.relu(self.bn1(x)))
        y = self.conv2(self.relu(self.bn2(y)))
        y = self.conv3(self.relu(self.bn3(y)))
        return y + self.shortcut(x)


class Hourglass(nn.Module):
    """One hourglass: max-pool down, nearest up, one residual per level and branch.

    Args:
        channels: width, the same at every level.
        depth: number of times the resolution is halved. Defaults to 4.
    """

    def __init__(self, channels: int, depth: int = 4) -> None:
        super().__init__()

        def branch() -> nn.ModuleList:
            return nn.ModuleList(Residual(channels, channels) for _ in range(depth))

        # index 0 is the finest level
        self.skips, self.downs, self.ups = branch(), branch(), branch()
        self.bottom = Residual(channels, channels)
        self.pool = nn.MaxPool2d(2)
        self.upsample = nn.Upsample(scale_factor=2, mode='nearest')

    def forward(self, x: Tensor) -> list[Tensor]:
        """Run the hourglass.

        Args:
            x: ``[B, C, H, W]``, H and W multiples of ``2 ** depth``.

        Returns:
            The features of each deconv level, coarse -> fine,
            ``[B, C, H / 2**(depth-1), …]`` to ``[B, C, H, W]``.
        """
        skips = []
        for skip, down in zip(self.skips, self.downs):
            skips.append(skip(x))
            x = down(self.pool(x))
        x = self.bottom(x)
        outs = []
        for up, skip in zip(reversed(self.ups), reversed(skips)):
            x = self.upsample(up(x)) + skip
            outs.append(x)
        return outs


class Stack(nn.Module):
    """An hourglass with its predictors: residual, 1x1 conv-BN-ReLU, 1x1 conv to K heatmaps.

    Args:
        channels: width.
        depth: depth of the hourglass.
        num_keypoints: K.
        levels: down-sampling factors with a prediction, coarse -> fine.
    """

    def __init__(
        self, channels: int, depth: int, num_keypoints: int, levels: Sequence[int]
    ) -> None:
        super().__init__()
        self.hourglass = Hourglass(channels, depth)
        self.features = nn.Sequential(
            Residual(channels, channels),
            nn.Conv2d(channels, channels, 1),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )
        # position in Hourglass.forward's list -> predictor; the finest one reads `features`
        self.coarse = nn.ModuleDict(
            {
                str(depth - level.bit_length()): nn.Sequential(
                    nn.BatchNorm2d(channels),
                    nn.ReLU(inplace=True),
                    nn.Conv2d(channels, num_keypoints, 1),
                )
                for level in levels
                if level > 1
            }
        )
        self.finest = nn.Conv2d(channels, num_keypoints, 1)
        for predict in (*(p[-1] for p in self.coarse.values()), self.finest):
            nn.init.normal_(predict.weight, std=0.001)  # heatmaps are nearly all zero (ours)
            nn.init.zeros_(predict.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the features for the next stack and the heatmaps, coarse -> fine."""
        outs = self.hourglass(x)
        features = self.features(outs[-1])
        heatmaps = [predict(outs[int(i)]) for i, predict in self.coarse.items()]
        return features, *heatmaps, self.finest(features)


class Pyramids(tuple):
    """Heatmaps stack by stack and, within a stack, level by level, coarse -> fine.

    A tuple of tuples of heatmaps ``[B, K, h, w]``, which also carries what a regression network
    may want to see beside them.

    Args:
        stacks: the heatmaps.
        context: image or stem features ``[B, C, H, W]``. Defaults to None.
    """

    def __new__(cls, stacks: Iterable[tuple[Tensor, ...]], context: Tensor | None = None):
        """Make the tuple; see the class."""
        self = super().__new__(cls, stacks)
        self.context = context
        return self


@contextmanager
def _statistics_kept(module: nn.Module) -> Iterator[None]:
    """Leave running statistics as they are: a recomputation sees a batch for the second time."""
    norms = {
        m: (m.momentum, m.num_batches_tracked)
        for m in module.modules()
        if isinstance(m, _BatchNorm)
    }
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, count) in norms.items():
            norm.momentum, norm.num_batches_tracked = momentum, count


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
        context: what ``forward`` hands on beside the heatmaps: ``'stem'`` (features
            ``[B, channels, H/4, W/4]`` before the first stack), ``'image'`` (the input) or nothing,
            for :class:`MSRHead`. Defaults to None.
        with_cp: recompute each stack in the backward pass instead of keeping its
            activations: less memory, about a third more time. Defaults to False.
        channels_last: lay out weights and activations channels-last, faster with autocast
            on recent GPUs and CPUs. Defaults to False.
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
        channels_last: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        available = [2**i for i in reversed(range(depth))]
        if (
            not levels
            or levels[-1] != 1
            or list(levels) != sorted(set(levels), reverse=True)
            or not set(levels) <= set(available)
        ):
            raise InputError(
                f'backbone.levels={tuple(levels)}: expected factors out of '
                f'{tuple(available)} (depth={depth}), coarse to fine, ending in 1'
            )
        stem = tuple(stem_channels or (channels // 4, channels // 2, channels // 2))
        if (
            num_stacks < 1
            or num_keypoints < 1
            or len(stem) != 3
            or stem[0] < 1
            or any(c < 2 or c % 2 for c in (*stem[1:], channels))
        ):
            raise InputError(
                f'backbone: num_stacks={num_stacks}, num_keypoints={num_keypoints}, '
                f'channels={channels}, stem_channels={stem}: expected at least one stack and one '
                'keypoint, three stem widths and even widths (a residual works on half of them)'
            )
        self.num_keypoints = num_keypoints
        self.levels = tuple(levels)
        if context not in (None, 'stem', 'image'):
            raise InputError(f"backbone.context={context!r}: expected 'stem', 'image' or None")
        self.context = context
        self.with_cp = with_cp
        self.channels_last = channels_last
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
            Stack(channels, depth, num_keypoints, self.levels) for _ in range(num_stacks)
        )
        self.merge_features = nn.ModuleList(
            nn.Conv2d(channels, channels, 1) for _ in range(num_stacks - 1)
        )
        self.merge_heatmaps = nn.ModuleList(
            nn.Conv2d(num_keypoints, channels, 1) for _ in range(num_stacks - 1)
        )
        if channels_last:
            self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Pyramids:
        """Predict heatmaps at every level of every stack.

        Args:
            x: images ``[B, 3, H, W]``; H and W multiples of ``4 * 2**depth``.

        Returns:
            A tuple over stacks of tuples over ``levels`` (coarse -> fine) of heatmaps
            ``[B, K, H / (4 * level), W / (4 * level)]``.

        Raises:
            InputError: an input size that the network cannot halve often enough.
        """
        if x.shape[-2] % self.divisor or x.shape[-1] % self.divisor:
            raise InputError(
                f'input of {x.shape[-1]}x{x.shape[-2]} pixels: MultiScaleHourglass '
                f'needs multiples of {self.divisor}; change codec.input_size'
            )
        if self.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        context = x if self.context == 'image' else None
        x = self.stem(x)
        if self.context == 'stem':
            context = x
        outputs = []
        for i, stack in enumerate(self.stacks):
            if self.with_cp and torch.is_grad_enabled():
                features, *heatmaps = checkpoint(
                    stack,
                    x,
                    use_reentrant=False,
                    context_fn=lambda stack=stack: (nullcontext(), _statistics_kept(stack)),
                )
            else:
                features, *heatmaps = stack(x)
            outputs.append(tuple(heatmaps))
            if i < len(self.merge_features):
                x = x + self.merge_features[i](features) + self.merge_heatmaps[i](heatmaps[-1])
        return Pyramids(outputs, context)
