"""Multi-scale testing: heatmaps of larger and smaller crops, averaged in one frame.

The hourglass that Ke et al. (ECCV 2018, §4.3) compare their single-scale MSS-net with is tested at
six scales. Which ones, and how they are combined, the paper does not say: ``SCALES`` and the mean
are this project's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mspose_plugin.utils.checks import numbers
from mspose_plugin.utils.errors import InputError

SCALES = (0.8, 0.9, 1.0, 1.1, 1.2, 1.3)


def scales_from_cfg(cfg: Any) -> tuple[float, ...]:
    """Read ``test_cfg.multi_scale``.

    Args:
        cfg: ``dict(scales=(...))``, the scales themselves, or True for :data:`SCALES`.

    Returns:
        Factors of the padded box's sides.

    Raises:
        InputError: something else.
    """
    scales = SCALES if cfg is True else cfg
    if isinstance(cfg, Mapping) and set(cfg) <= {'scales'}:
        scales = cfg.get('scales', SCALES)
    values = None if isinstance(scales, Mapping) else numbers(scales, (None,))
    if values is None or not len(values) or (values <= 0).any():
        raise InputError(
            f'test_cfg.multi_scale={cfg!r}: expected dict(scales=(...)) with positive '
            f'factors of the person box, such as {SCALES}'
        )
    return tuple(np.unique(values).tolist())


def to_reference(heatmaps: Tensor, scale: float, cell_offset: float) -> tuple[Tensor, Tensor]:
    """Sample the heatmaps of a scaled crop at the pixels of the unscaled one.

    Both crops have the same centre, which lies at ``size / 2 - cell_offset`` of the heatmaps.

    Args:
        heatmaps: ``[B, K, H, W]`` of crops whose box is ``scale`` times the reference's.
        scale: the factor; below 1 the crop does not reach the reference's border.
        cell_offset: the codec's, see ``GaussianHeatmap``; 0.5 with unbiased data processing.

    Returns:
        Heatmaps ``[B, K, H, W]`` in the reference's frame, 0 where the crop saw nothing, and its
        coverage ``[1, 1, H, W]`` in 0..1.
    """
    height, width = heatmaps.shape[-2:]
    axes = []
    for size in (height, width):
        center = size / 2 - cell_offset
        at = torch.arange(size, dtype=torch.float32, device=heatmaps.device)
        at = (at - center) / scale + center
        axes.append(2 * at / max(size - 1, 1) - 1)
    grid = torch.stack(torch.meshgrid(*axes, indexing='ij')[::-1], dim=-1)[None]

    def sample(x: Tensor) -> Tensor:
        return F.grid_sample(x, grid.expand(len(x), -1, -1, -1), align_corners=True)

    return sample(heatmaps), sample(heatmaps.new_ones(1, 1, height, width))


class HeatmapMean:
    """Mean over scales, at each pixel of those that saw it.

    Args:
        cell_offset: as for :func:`to_reference`.
    """

    def __init__(self, cell_offset: float) -> None:
        self.cell_offset = cell_offset
        self.total: Tensor | float = 0.0
        self.coverage: Tensor | float = 0.0

    def add(self, heatmaps: Tensor, scale: float) -> None:
        """Add the heatmaps ``[B, K, H, W]`` of one scale."""
        heatmaps, coverage = to_reference(heatmaps.float(), scale, self.cell_offset)
        self.total, self.coverage = self.total + heatmaps, self.coverage + coverage

    def result(self) -> Tensor:
        """Return the mean ``[B, K, H, W]``; 0 where no scale saw anything."""
        return self.total / self.coverage.clamp(min=1e-6)
