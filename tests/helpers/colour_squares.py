"""An oracle on :mod:`tiny_run`'s pictures: joints are coloured squares, heatmaps know the colours.

Some boxes lie so far left that the crop cuts joints off; what a shifted crop sees it finds. Import
it from a config: ``custom_imports = dict(imports=['colour_squares'])``.
"""

from __future__ import annotations

import torch
from mmpose.models import HeatmapHead
from mmpose.registry import MODELS
from torch import nn

COLOURS = torch.tensor(
    [[40 * (k + 1) % 256, 90 * (k + 1) % 256, 13 * (k + 1) % 256] for k in range(16)],
    dtype=torch.float32,
)


@MODELS.register_module()
class ColourBackbone(nn.Module):
    """Return how like each joint's colour a picture is, ``[B, 16, H, W]``, at every pixel."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))  # DistributedDataParallel wants one

    def forward(self, x):
        apart = (x[:, None] - COLOURS.to(x)[None, :, :, None, None]).abs().amax(dim=2)
        return (self.gain * nn.functional.avg_pool2d((apart < 8).float(), 5, 1, 2),)


@MODELS.register_module()
class ColourHead(HeatmapHead):
    """Take the backbone's maps as they are."""

    def __init__(self, decoder):
        super().__init__(
            in_channels=16,
            out_channels=16,
            deconv_out_channels=None,
            final_layer=None,
            decoder=decoder,
        )
