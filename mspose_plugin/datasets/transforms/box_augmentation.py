"""Random boxes."""

from __future__ import annotations

import numpy as np
from mmpose.datasets.transforms import RandomBBoxTransform
from mmpose.registry import TRANSFORMS
from scipy.special import ndtr, ndtri


@TRANSFORMS.register_module()
class FastRandomBBoxTransform(RandomBBoxTransform):
    """MMPose's ``RandomBBoxTransform`` with a faster generator of the same distribution.

    MMPose builds a SciPy distribution for every number it draws, which takes longer than to warp
    the image. Arguments as in MMPose; with the same seed other numbers come.
    """

    @staticmethod
    def _truncnorm(low: float = -1.0, high: float = 1.0, size: tuple = ()) -> np.ndarray:
        """Sample from a standard normal distribution cut at ``low`` and ``high``."""
        return np.asarray(ndtri(np.random.uniform(ndtr(low), ndtr(high), size)), np.float32)
