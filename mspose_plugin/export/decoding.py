"""From heatmaps to keypoints in PyTorch alone, for a whole batch: what can be part of a graph.

Each function does what a codec's ``decode`` does in NumPy for one image; the command that exports
compares the two. A keypoint whose heatmap has no positive value is cell (-1, -1), as there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mspose_plugin.utils.checks import check_choice, check_value

Refine = Callable[[Tensor, Tensor, int], Tensor]
"""Cells ``[B, K, 2]``, heatmaps ``[B, K, H, W]`` and a kernel size -> better cells."""


def decoder(codec: Mapping[str, Any]) -> Callable[..., tuple[Tensor, Tensor]]:
    """Return what decodes as a codec does.

    Args:
        codec: type and arguments.

    Returns:
        A function of heatmaps ``[B, K, H, W]``, or of SimCC's two outputs, to keypoints
        ``[B, K, 2]`` in input pixels and scores ``[B, K]``.

    Raises:
        InputError: a codec that has no such function.
    """
    name, get = codec['type'], codec.get
    input_size = torch.tensor(codec['input_size'], dtype=torch.float32)
    if name == 'SimCCLabel':
        check_value(not get('use_dark'), 'codec.use_dark', True, 'False, to be part of the graph')
        return _Simcc(get('simcc_split_ratio', 2.0))
    heatmap_size = torch.tensor(codec['heatmap_size'], dtype=torch.float32)
    scale, offset, kernel = input_size / heatmap_size, 0.0, get('blur_kernel_size', 11)
    refine: str | None
    if name == 'MSRAHeatmap':
        refine = 'dark' if get('unbiased') else 'quarter_inside'
    elif name == 'UDPHeatmap':
        kind = get('heatmap_type', 'gaussian')
        check_choice('codec.heatmap_type in the graph', kind, ['gaussian'])
        refine, scale = 'udp', input_size / (heatmap_size - 1)
    else:
        refine, offset = get('refine'), get('cell_offset', 0.0)
    return _Heatmaps(_REFINEMENTS[refine], scale, offset, kernel)


class _Heatmaps:
    """Highest cell, refined, in input pixels."""

    def __init__(self, refine: Refine, scale: Tensor, offset: float, kernel: int) -> None:
        self.refine, self.scale, self.offset, self.kernel = refine, scale, offset, kernel

    def __call__(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        cells, scores = _highest(maps)
        refined = self.refine(cells, maps, self.kernel)
        if self.refine is _second_peak:  # whose score is that of the place
            place = refined.clamp(min=0).round().long()
            scores = torch.where(scores > 0, _at(maps, place[..., 0], place[..., 1]), scores)
        found = (scores > 0)[..., None]
        cells = torch.where(found, refined, torch.full_like(refined, -1.0))
        return (cells + self.offset) * self.scale.to(maps), scores


class _Simcc:
    """Highest bins along x and y."""

    def __init__(self, ratio: float) -> None:
        self.ratio = ratio

    def __call__(self, along_x: Tensor, along_y: Tensor) -> tuple[Tensor, Tensor]:
        (score_x, x), (score_y, y) = along_x.max(-1), along_y.max(-1)
        scores = torch.minimum(score_x, score_y)
        bins = torch.stack([x, y], -1).to(scores)
        bins = torch.where((scores > 0)[..., None], bins, torch.full_like(bins, -1.0))
        return bins / self.ratio, scores


# ---------------------------------------------------------------- parts


def _highest(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return the highest cells ``[B, K, 2]`` and their values ``[B, K]``."""
    scores, index = maps.flatten(2).max(-1)
    width = maps.shape[-1]
    return torch.stack([index % width, index // width], -1).to(maps), scores


def _at(maps: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return the values at cells ``[B, K]``, or at the nearest ones inside."""
    height, width = maps.shape[-2:]
    index = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
    return maps.flatten(2).gather(2, index[..., None])[..., 0]


def _blur(maps: Tensor, kernel: int, mode: str) -> Tensor:
    """Blur with OpenCV's Gaussian kernel of this size; ``mode`` is what lies around the maps."""
    weights = torch.tensor(cv2.getGaussianKernel(kernel, 0)[:, 0].astype(np.float32)).to(maps)
    border = kernel // 2
    padded = F.pad(maps, [border] * 4, mode=mode).flatten(0, 1)[:, None]
    along_x = F.conv2d(padded, weights.view(1, 1, 1, kernel))
    return F.conv2d(along_x, weights.view(1, 1, kernel, 1)).view(maps.shape)


def _same(cells: Tensor, maps: Tensor, kernel: int) -> Tensor:
    """The cell itself."""
    return cells


def _quarter(cells: Tensor, maps: Tensor, kernel: int) -> Tensor:
    """A quarter of a cell towards the larger neighbours; not on the outermost cells."""
    x, y = cells.long().unbind(-1)
    height, width = maps.shape[-2:]
    inner = (x > 0) & (x < width - 1) & (y > 0) & (y < height - 1)
    return cells + 0.25 * torch.sign(_slope(maps, x, y)) * inner[..., None]


def _quarter_inside(cells: Tensor, maps: Tensor, kernel: int) -> Tensor:
    """The same with MMPose's limits, another for each direction."""
    x, y = cells.long().unbind(-1)
    height, width = maps.shape[-2:]
    inner = torch.stack(
        [(x > 1) & (x < width - 1) & (y > 0), (y > 1) & (y < height - 1) & (x > 0)], -1
    )
    return cells + 0.25 * torch.sign(_slope(maps, x, y)) * inner


def _slope(maps: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Differences of the neighbours along x and y, ``[B, K, 2]``."""
    return torch.stack(
        [
            _at(maps, x + 1, y) - _at(maps, x - 1, y),
            _at(maps, x, y + 1) - _at(maps, x, y - 1),
        ],
        -1,
    )


def _second_peak(cells: Tensor, maps: Tensor, kernel: int) -> Tensor:
    """A quarter of a cell from the highest towards the second highest blurred cell."""
    border = kernel // 2
    blurred = _blur(F.pad(maps, [border] * 4), kernel, 'reflect')
    first, _ = _highest(blurred)
    x, y = first.long().unbind(-1)
    index = y * blurred.shape[-1] + x
    rest = blurred.flatten(2).scatter(2, index[..., None], 0.0).view(blurred.shape)
    step = _highest(rest)[0] - first
    length = step.square().sum(-1, keepdim=True).sqrt().clamp(min=1)
    last = torch.tensor([maps.shape[-1] - 1, maps.shape[-2] - 1], device=maps.device).to(maps)
    return torch.minimum((first - border + 0.25 * step / length).clamp(min=0), last)


def _dark(cells: Tensor, maps: Tensor, kernel: int) -> Tensor:
    """Distribution-aware coordinates (Zhang et al., CVPR 2020, Eq. 8) as MMPose has them."""
    x, y = cells.long().unbind(-1)
    height, width = maps.shape[-2:]
    logs = _modulated(maps, kernel).clamp(min=1e-10).log()

    def at(dx: int, dy: int) -> Tensor:
        return _at(logs, x + dx, y + dy)

    gradient = 0.5 * _slope(logs, x, y)
    dxx = 0.25 * (at(2, 0) - 2 * at(0, 0) + at(-2, 0))
    dyy = 0.25 * (at(0, 2) - 2 * at(0, 0) + at(0, -2))
    dxy = 0.25 * (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1))
    inner = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2)
    return cells - _newton_step(gradient, dxx, dxy, dyy) * inner[..., None]


def _udp(cells: Tensor, maps: Tensor, kernel: int) -> Tensor:
    """Distribution-aware coordinates as MMPose has them for unbiased data processing."""
    x, y = cells.long().unbind(-1)
    logs = _modulated(maps, kernel).clamp(1e-3, 50.0).log()

    def at(dx: int, dy: int) -> Tensor:
        return _at(logs, x + dx, y + dy)

    gradient, middle, tiny = 0.5 * _slope(logs, x, y), at(0, 0), torch.finfo(torch.float32).eps
    dxx = at(1, 0) - 2 * middle + at(-1, 0) + tiny
    dyy = at(0, 1) - 2 * middle + at(0, -1) + tiny
    dxy = 0.5 * (at(1, 1) - at(1, 0) - at(0, 1) + 2 * middle - at(-1, 0) - at(0, -1) + at(-1, -1))
    return cells - _newton_step(gradient, dxx, dxy, dyy)


def _modulated(maps: Tensor, kernel: int) -> Tensor:
    """Blurred heatmaps with the maxima that they had."""
    blurred = _blur(maps, kernel, 'constant')
    return blurred * (maps.amax((2, 3), keepdim=True) / blurred.amax((2, 3), keepdim=True))


def _newton_step(gradient: Tensor, dxx: Tensor, dxy: Tensor, dyy: Tensor) -> Tensor:
    """Return the inverse Hessian times the gradient ``[B, K, 2]``; 0 where there is no inverse."""
    gx, gy = gradient.unbind(-1)
    determinant = dxx * dyy - dxy * dxy
    singular = determinant == 0
    step = torch.stack([dyy * gx - dxy * gy, dxx * gy - dxy * gx], -1)
    step = step / torch.where(singular, 1.0, determinant)[..., None]
    return torch.where(singular[..., None], 0.0, step)


_REFINEMENTS: dict[str | None, Refine] = {
    None: _same,
    'quarter': _quarter,
    'quarter_inside': _quarter_inside,
    'second_peak': _second_peak,
    'dark': _dark,
    'udp': _udp,
}
