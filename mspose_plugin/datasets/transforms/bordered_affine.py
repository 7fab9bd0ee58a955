"""Crops with a border of a given colour."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from mmpose.datasets.transforms import TopdownAffine
from mmpose.registry import TRANSFORMS

CROPS = ('TopdownAffine', 'BorderedTopdownAffine')
"""Types of the steps that crop a person."""


@TRANSFORMS.register_module()
class BorderedTopdownAffine(TopdownAffine):
    """MMPose's ``TopdownAffine`` with a colour for what lies outside the image.

    MMPose leaves it black, which the network sees as a strong edge. CPN and MLPE fill it with the
    mean that is subtracted afterwards, so that it becomes 0. (CPN's code leaves the corners that a
    rotation turns in black; here they have the same colour.)

    ``RandomFlip`` leaves a mirrored view, which OpenCV would copy pixel by pixel for longer than it
    takes to decode the file: here it is mirrored at once. The crop is the same.

    Args:
        input_size: size of the crop, width and height in pixels.
        use_udp: as in ``TopdownAffine``. Defaults to False.
        border: the colour, in the channel order of the image (BGR from MMPose's
            loaders). Defaults to black, as in MMPose.
    """

    def __init__(
        self,
        input_size: tuple[int, int],
        use_udp: bool = False,
        border: Sequence[float] = (0.0, 0.0, 0.0),
    ) -> None:
        """See the class."""
        super().__init__(input_size, use_udp)
        self.border = tuple(border)

    def transform(self, results: dict) -> dict:
        """Crop as ``TopdownAffine`` and fill the border.

        Args:
            results: as for ``TopdownAffine``; one image.

        Returns:
            ``results``.
        """
        image = results['img']
        if isinstance(image, np.ndarray) and image.strides[1] < 0 < image.strides[0]:
            results['img'] = cv2.flip(image[:, ::-1], 1)
        if not any(self.border):
            return super().transform(results)
        # what follows the image through the same geometry is how much of a pixel it covers
        image = results['img']
        results['img'] = [image, np.full(image.shape[:2], 255, np.uint8)]
        results = super().transform(results)
        image, covered = results['img']
        if covered.min() < 255:
            missing = (255 - covered[..., None]) * (np.array(self.border, np.float32) / 255)
            filled = image + missing
            if image.dtype == np.uint8:
                filled = filled.round().clip(0, 255).astype(np.uint8)
            image = filled
        results['img'] = image
        return results

    def __repr__(self) -> str:
        """Return the constructor call."""
        return f'{super().__repr__()[:-1]}, border={self.border})'
