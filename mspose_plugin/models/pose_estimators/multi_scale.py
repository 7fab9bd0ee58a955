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

from mspose_plugin.utils.checks import check_value, numbers

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
    given = cfg if isinstance(cfg, Mapping) else dict(scales=SCALES if cfg is True else cfg)
    values: Any = numbers(given.get('scales', SCALES), (None,))
    fits = set(given) <= {'scales'} and values is not None and len(values) and (values > 0).all()
    known = f'dict(scales=(...)), positive factors of the person box such as {SCALES}'
    check_value(fits, 'test_cfg.multi_scale', cfg, known)
    return tuple(np.unique(values).tolist())


def average(heatmaps: Mapping[float, Tensor], cell_offset: float) -> Tensor:
    """Average heatmaps of several scales, at each pixel over the crops that saw it.

    All crops have the same centre, which lies at ``size / 2 - cell_offset`` of the heatmaps.

    Args:
        heatmaps: scale -> ``[B, K, H, W]`` of crops whose box is so many times the reference's.
        cell_offset: the codec's, see ``GaussianHeatmap``; 0.5 with unbiased data processing.

    Returns:
        ``[B, K, H, W]`` in the reference's frame; 0 where no crop saw anything.
    """
    total = torch.zeros(())
    for scale, maps in heatmaps.items():
        height, width = maps.shape[-2:]
        # the fixed point of the scaling in affine_grid's coordinates, from -1 to 1
        shift = (1 - 2 * cell_offset) * (1 - 1 / scale)
        theta = [[[1 / scale, 0, shift / width], [0, 1 / scale, shift / height]]]
        # a further channel of ones tells where the crop saw something
        maps = torch.cat([maps.float(), torch.ones_like(maps[:, :1], dtype=torch.float32)], 1)
        grid = F.affine_grid(maps.new_tensor(theta), [1, 1, height, width], align_corners=False)
        grid = grid.expand(len(maps), -1, -1, -1)
        total = total + F.grid_sample(maps, grid, align_corners=False)
    return total[:, :-1] / total[:, -1:].clamp(min=1e-6)
