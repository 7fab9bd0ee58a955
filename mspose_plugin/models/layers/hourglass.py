"""Blocks of the stacked hourglass.

Newell, Yang, Deng, "Stacked Hourglass Networks for Human Pose Estimation", ECCV 2016,
https://arxiv.org/abs/1603.06937. The predictors at the coarser levels are MSSPose's (ECCV 2018,
§3.1). Ours: a BN-ReLU before them, since the sums of residual branches that they read have no fixed
scale: with SGD and the paper's learning rate training diverges without it.

The modules are PyTorch's own rather than mmcv's ``ConvModule``, whose order (normalisation,
activation, convolution) would fit the residual, too: PyTorch's initialisation is what the published
networks were trained from, and ``ConvModule`` has another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mmengine.model import normal_init
from torch import Tensor, nn

from mspose_plugin.utils.checks import check_value


def check_levels(where: str, levels: Sequence[int], depth: int) -> None:
    """Refuse levels that an hourglass does not have.

    Args:
        where: what the message calls them.
        levels: down-sampling factors.
        depth: of the hourglass.

    Raises:
        InputError: other factors, another order, or none of the finest.
    """
    available = tuple(2**i for i in reversed(range(depth)))
    ordered = sorted(set(levels) & set(available), reverse=True)
    known = f'factors of {available} (depth={depth}), coarse to fine, ending in 1'
    check_value(list(levels) == ordered and 1 in levels, where, levels, known)


class Residual(nn.Module):
    """Pre-activation bottleneck: BN-ReLU-1x1, BN-ReLU-3x3, BN-ReLU-1x1.

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
        return y.add_(self.shortcut(x))


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
            y = up(x)
            # on a GPU autocast up-samples in float32, and what follows would stay there
            x = self.upsample(y).to(y.dtype).add_(skip)
            outs.append(x)
        return outs


class HourglassStack(nn.Module):
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
        for predictor in (*self.coarse.modules(), self.finest):
            if isinstance(predictor, nn.Conv2d):
                normal_init(predictor, std=0.001)  # heatmaps are nearly all zero (ours)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the features for the next stack and the heatmaps, coarse -> fine."""
        outs = self.hourglass(x)
        features = self.features(outs[-1])
        heatmaps = [predict(outs[int(i)]) for i, predict in self.coarse.items()]
        return features, *heatmaps, self.finest(features)


class HourglassOutput(NamedTuple):
    """Output of a backbone that also returns what a regression network reads beside heatmaps.

    Args:
        heatmaps: a tuple over stacks of tuples over levels, coarse -> fine, of ``[B, K, h, w]``.
        context: image or stem features ``[B, C, H, W]``.
    """

    heatmaps: tuple[tuple[Tensor, ...], ...]
    context: Tensor
