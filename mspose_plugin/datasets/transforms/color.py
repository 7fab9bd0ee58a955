"""Colour augmentation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmpose.registry import TRANSFORMS

from mspose_plugin.utils.checks import check_range


@TRANSFORMS.register_module()
class RandomChannelScale(BaseTransform):
    """Multiply each colour channel of the image by a random factor of its own.

    Integer images are rounded and saturate at 255, as in CPN's and MLPE's training.

    Args:
        scale: lower and upper bound of the factors, drawn uniformly. Defaults
            to ``(0.8, 1.2)``, the release's.

    Raises:
        InputError: bounds that are negative or the wrong way round.
    """

    def __init__(self, scale: Sequence[float] = (0.8, 1.2)) -> None:
        """See the class."""
        super().__init__()
        check_range('RandomChannelScale: scale', scale, 0)
        self.scale = tuple(scale)

    @cache_randomness
    def _factors(self) -> np.ndarray:
        """Return a factor for each of three channels."""
        low, high = self.scale
        return np.random.uniform(low, high, 3)

    def transform(self, results: dict) -> dict:
        """Scale ``results['img']`` ``[H, W, 3]``."""
        scalar: Any = (*self._factors(), 0)  # OpenCV's stubs lack scalars here
        results['img'] = cv2.multiply(results['img'], scalar)
        return results

    def __repr__(self) -> str:
        """Return the constructor call."""
        return f'{type(self).__name__}(scale={self.scale})'
