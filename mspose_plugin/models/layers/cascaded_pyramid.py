"""Blocks of the cascaded pyramid network and of MLPE, which descends from it.

Chen et al., "Cascaded Pyramid Network for Multi-Person Pose Estimation", CVPR 2018; the authors'
release of MLPE (ICRA 2021). Ours: how maps are cut where sizes are odd.

Plain PyTorch modules: mmcv's ``ConvModule`` would rename the weights, and trained checkpoints would
no longer load.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from mmpose.models.backbones.resnet import Bottleneck
from torch import Tensor, nn

from mspose_plugin.utils.errors import InputError

KAIMING_INIT = dict(type='Kaiming', layer=['Conv2d', 'ConvTranspose2d'])
"""Initialisation of what follows the backbone (ours)."""


def conv_bn(in_channels: int, out_channels: int) -> list[nn.Module]:
    """Return a 1x1 convolution with batch norm."""
    return [nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)]


def deconv_bn(channels: int) -> list[nn.Module]:
    """Return a 4x4 transposed convolution of stride 2 with batch norm; doubles the size."""
    return [
        nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(channels),
    ]


def bottleneck(in_channels: int, channels: int) -> Bottleneck:
    """Return CPN's bottleneck: half the width inside, always a projection on the shortcut."""
    projection = nn.Sequential(*conv_bn(in_channels, channels))
    return Bottleneck(in_channels, channels, expansion=2, downsample=projection)


def resize(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Interpolate ``[B, C, H, W]`` bilinearly to ``[B, C, *size]``, with aligned corners."""
    return F.interpolate(maps, tuple(size), mode='bilinear', align_corners=True)


def cut(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Cut the surplus rows and columns at the bottom and on the right.

    A convolution of stride 2 gives ``ceil(n / 2)`` pixels, so that doubling gives one too many
    where n is odd; the first pixels of both agree.

    Args:
        maps: ``[B, C, H, W]``.
        size: height and width, at most ``(H, W)``.

    Returns:
        ``[B, C, *size]``.

    Raises:
        InputError: maps that are smaller.
    """
    height, width = size
    if maps.shape[-2] < height or maps.shape[-1] < width:
        known = f'{tuple(size)} or more; see backbone.strides'
        raise InputError(f'up-sampled level={tuple(maps.shape[-2:])}: expected {known}')
    return maps[..., :height, :width]
