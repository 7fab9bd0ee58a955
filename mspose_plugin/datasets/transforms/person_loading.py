"""Image loading for training, in which only what a person's crop shows is looked at.

The decoder of a JPEG can leave out the finest frequencies and give half, a quarter or an eighth of
the size. Where a crop is smaller than the person's box by that much, it loses nothing, and what
OpenCV's bilinear sampling would skip is averaged instead.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import cv2
import numpy as np
from mmpose.datasets.transforms import TopdownAffine
from mmpose.registry import TRANSFORMS
from PIL import Image

from mspose_plugin.datasets.transforms.loading import LoadImageChecked, to_bgr
from mspose_plugin.utils.checks import check, check_value

REDUCED = {
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
"""How many times smaller a JPEG can be decoded, and OpenCV's flag for it."""
MARGIN = 2  # pixels around what the crop shows, for interpolation
_ORIENTATION = 0x0112  # EXIF


@TRANSFORMS.register_module()
class LoadPersonImage(LoadImageChecked):
    """Load the part of an image that a person's crop shows, for training.

    Goes after the steps that choose the crop (``GetBBoxCenterScale``, ``RandomHalfBody``,
    ``RandomBBoxTransform``) and before ``RandomFlip`` and ``TopdownAffine``, which then have fewer
    pixels to go through. With ``reduce``, a JPEG is decoded at 1/2, 1/4 or 1/8 of its size where
    the crop is shrunk at least as much. Box and keypoints are moved and scaled with the image, by
    fractions of pixels where need be, so that the crop shows the same.

    What follows sees the part as the whole image: predictions would be in its pixels. Test
    pipelines load with ``LoadImageChecked``.

    Args:
        input_size: size of the crop, width and height in pixels, as in ``TopdownAffine``.
        reduce: decode JPEGs at a reduced size: smoother crops than in a test. Default: False.
        **kwargs: as :class:`LoadImageChecked`; only the ``'cv2'`` back-end and ``'color'`` can
            reduce.

    Raises:
        InputError: as :class:`LoadImageChecked`; or there is no box yet.
    """

    def __init__(self, input_size: tuple[int, int], *, reduce: bool = False, **kwargs: Any) -> None:
        """See the class for the arguments."""
        super().__init__(**kwargs)
        fits = len(input_size) == 2 and min(input_size) > 0
        check_value(fits, 'LoadPersonImage: input_size', input_size, 'width and height in pixels')
        self.input_size = tuple(input_size)
        self.reduce = reduce and self.imdecode_backend == 'cv2' and self.color_type == 'color'

    def load(self, results: dict) -> tuple[np.ndarray, tuple[int, ...]]:
        """Load the part that the crop shows, and move box and keypoints into it.

        Args:
            results: with ``img_path`` or ``img``, ``bbox_center`` and ``bbox_scale`` ``[1, 2]``;
                ``bbox_rotation`` ``[1]``, ``bbox``, ``keypoints`` and ``area`` where there are any.

        Returns:
            The part ``[h, w, 3]``, and height and width of the whole image.

        Raises:
            InputError: see the class.
        """
        known = results.get('bbox_center') is not None and results.get('bbox_scale') is not None
        check(known, 'LoadPersonImage needs the box; put it after GetBBoxCenterScale')
        width, height = self.input_size
        box = TopdownAffine._fix_aspect_ratio(results['bbox_scale'], width / height)[0]
        if 'img' in results:
            img, factor = results['img'], 1
            shape = img.shape[:2]
        else:
            img, factor, shape = self._decode_reduced(results['img_path'], box[0] / width)
        angle = np.deg2rad(results.get('bbox_rotation', [0.0])[0])
        turn = np.abs([[np.cos(angle), np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        center, reach = _reduced(results['bbox_center'][0], factor), turn @ box / (2 * factor)
        size = np.array(img.shape[1::-1])
        low = np.floor(center - reach - MARGIN).clip(0, size - 1).astype(int)
        high = np.ceil(center + reach + MARGIN + 1).clip(low + 1, size).astype(int)
        for name in ('bbox_center', 'keypoints', 'bbox'):
            if results.get(name) is not None:
                points = _reduced(results[name].reshape(-1, 2), factor) - low
                results[name] = points.reshape(results[name].shape).astype(results[name].dtype)
        results['bbox_scale'] = results['bbox_scale'] / factor
        if results.get('area') is not None:
            results['area'] = results['area'] / factor**2
        return to_bgr(img[low[1] : high[1], low[0] : high[0]]), shape

    def _decode_reduced(self, path: str, shrink: float) -> tuple[np.ndarray, int, tuple[int, ...]]:
        """Return an image at 1/factor of its size, the factor, and its height and width."""
        data = self.fetch(path)
        factor = max((f for f in REDUCED if f <= shrink), default=1) if self.reduce else 1
        whole = _jpeg_shape(data) if factor > 1 else None
        if whole is not None:
            img = self.decode(path, data, REDUCED[factor])
            if img.shape[:2] == tuple(-(-side // factor) for side in whole):
                return img, factor, whole
        img = self.decode(path, data, self.color_type)
        return img, 1, img.shape[:2]

    def __repr__(self) -> str:
        """Return the constructor call."""
        own = f'input_size={self.input_size}, reduce={self.reduce}'
        return f'{super().__repr__()[:-1]}, {own})'


def _reduced(points: np.ndarray, factor: int) -> np.ndarray:
    """Return where points ``[..., 2]`` are in an image each of whose pixels covers several."""
    return (points + 0.5) / factor - 0.5


def _jpeg_shape(data: bytes) -> tuple[int, int] | None:
    """Return height and width of a JPEG; None for other files, and for one stored turned."""
    try:
        with Image.open(BytesIO(data), formats=['JPEG']) as img:
            return img.size[::-1] if img.getexif().get(_ORIENTATION, 1) == 1 else None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
