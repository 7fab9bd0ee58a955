"""Image loading that names broken files and takes any kind of image.

A file that breaks off is broken, too: OpenCV 4.11 and later decode nothing of it.
"""

from __future__ import annotations

import os
from typing import Any

import cv2
import mmcv
import numpy as np
from mmengine.fileio import get
from mmengine.logging import MMLogger
from mmpose.datasets.transforms import LoadImage
from mmpose.registry import TRANSFORMS

from mspose_plugin.utils.checks import check
from mspose_plugin.utils.errors import InputError

MAX_BROKEN_RUN = 100  # consecutive broken images before training is given up
_broken = dict(total=0, run=0)  # in this process: every data-loading process counts its own


@TRANSFORMS.register_module()
class LoadImageChecked(LoadImage):
    """Load an image as three-channel BGR, from ``img_path`` or from the array in ``img``.

    Grey images, images with an alpha channel (which is ignored) and 16-bit images (whose upper 8
    bits are kept) become 8-bit BGR; float arrays keep their values.

    Args:
        skip_broken: return None for a file that is missing, unreadable or truncated, with a
            counted warning, so that the dataset fetches another one; for training. False raises.
            Default: False.
        **kwargs: as MMPose's ``LoadImage``: ``to_float32``, ``color_type``, ``imdecode_backend``,
            ``backend_args``, ``ignore_empty`` (the same as ``skip_broken``) ...

    Raises:
        InputError: a broken image with ``skip_broken=False``, more than 100 broken images in a row
            with ``skip_broken=True``, or an array that is not an image.
    """

    def __init__(self, *, skip_broken: bool = False, **kwargs: Any) -> None:
        """Refuse the old name of ``backend_args``; see the class for the arguments."""
        old = kwargs.get('file_client_args')
        check(old is None, 'LoadImageChecked: use backend_args instead of file_client_args')
        super().__init__(**kwargs)
        self.skip_broken = skip_broken

    def transform(self, results: dict) -> dict | None:
        """Load ``results['img']``.

        Args:
            results: with ``img_path``, or ``img`` ``[H, W]``, ``[H, W, 1]``, ``[H, W, 3]`` or
                ``[H, W, 4]``.

        Returns:
            ``results`` with ``img`` ``[H, W, 3]``, ``img_shape``, ``ori_shape``; None to skip.
        """
        from_file = 'img' not in results
        try:
            img, shape = self.load(results)
        except InputError as e:
            if not from_file or not (self.skip_broken or self.ignore_empty):
                raise
            warn_skipped(results['img_path'], e)
            return None
        if from_file:
            _broken['run'] = 0
        results.setdefault('img_path', None)
        results['img'] = img.astype(np.float32) if self.to_float32 else img
        results['img_shape'], results['ori_shape'] = img.shape[:2], shape
        return results

    def load(self, results: dict) -> tuple[np.ndarray, tuple[int, ...]]:
        """Load what the pipeline is to see of the image.

        Args:
            results: as for :meth:`transform`.

        Returns:
            The image ``[H, W, 3]``, and height and width of the whole one.

        Raises:
            InputError: as :meth:`read`, or the array is not an image.
        """
        img = to_bgr(results['img'] if 'img' in results else self.read(results['img_path']))
        return img, img.shape[:2]

    def read(self, path: str) -> np.ndarray:
        """Read and decode a file.

        Args:
            path: path or URL, as mmengine's file backends take it.

        Returns:
            The decoded image.

        Raises:
            InputError: the file is missing, empty, truncated, not an image or not a regular file.
        """
        return self.decode(path, self.fetch(path), self.color_type)

    def fetch(self, path: str) -> bytes:
        """Read a file.

        Args:
            path: path or URL, as mmengine's file backends take it.

        Returns:
            Its content.

        Raises:
            InputError: the file is missing or not a regular file.
        """
        where, remedy = f'cannot read image {path}', 'check the path, or data_root and data_prefix'
        special = not os.path.isfile(path) and os.path.exists(path)  # reading a pipe could hang
        check(not special, f'{where}: not a regular file; {remedy}')
        try:
            return get(path, backend_args=self.backend_args)
        except (OSError, KeyError, ImportError) as e:
            reason = f'unknown scheme {e}' if isinstance(e, KeyError) else e
            reason = getattr(e, 'strerror', None) or reason
            raise InputError(f'{where}: {reason}; {remedy}') from e

    def decode(self, path: str, data: bytes, flag: str | int) -> np.ndarray:
        """Decode a file's content.

        Args:
            path: of the file, for messages.
            data: the content.
            flag: as ``color_type``, or one of OpenCV's ``IMREAD_…``.

        Returns:
            The decoded image.

        Raises:
            InputError: it is empty, truncated or not an image.
        """
        where = f'cannot read image {path}'
        try:
            img = mmcv.imfrombytes(data, flag=flag, backend=self.imdecode_backend)
        except (cv2.error, OSError, SyntaxError, ValueError):  # OpenCV's, then Pillow's
            img = None
        fault = 'truncated, or not an image' if data else 'the file is empty'
        check(img is not None, f'{where}: {fault}; replace the file or remove its annotations')
        return img

    def __repr__(self) -> str:
        """Return the constructor call."""
        return f'{super().__repr__()[:-1]}, skip_broken={self.skip_broken})'


def warn_skipped(path: str, error: InputError) -> None:
    """Count a broken image and warn of it.

    Args:
        path: of the image.
        error: what is wrong with it.

    Raises:
        InputError: too many in a row.
    """
    _broken['total'] += 1
    _broken['run'] += 1
    total, most = _broken['total'], MAX_BROKEN_RUN
    check(_broken['run'] <= most, f'more than {most} broken images in a row, the last: {error}')
    if total <= 10 or total % 100 == 0:  # the first ten, then every hundredth
        # formatted here: mmengine drops warnings whose unformatted text it has seen
        MMLogger.get_current_instance().warning(
            f'skipped broken image {path} ({total} so far in this process): {error}'
        )


def to_bgr(img: Any) -> np.ndarray:
    """Turn an image array into ``[H, W, 3]`` of uint8 or float32.

    Args:
        img: ``[H, W]`` or ``[H, W, C]`` with C = 1 or 3 (BGR) or 4 (BGRA); bool, integers (16-bit
            ones are divided by 256, wider ones must be within 0..255) or floats (kept as they are).

    Returns:
        The very same array when nothing has to change.

    Raises:
        InputError: not such an array.
    """
    expected = 'expected a NumPy array of numbers, [H, W] or [H, W, C] with 1, 3 or 4 channels'
    fits = isinstance(img, np.ndarray) and img.ndim in (2, 3) and img.dtype.kind in 'biuf'
    channels = img.shape[2] if fits and img.ndim == 3 else 1
    got = f'{img.dtype} {img.shape}' if isinstance(img, np.ndarray) else type(img).__name__
    check(fits and img.size and channels in (1, 3, 4), f'no image: {expected}, got {got}')
    if img.dtype == np.uint16:
        img = (img >> 8).astype(np.uint8)
    elif img.dtype == bool:
        img = img.astype(np.uint8) * 255
    elif img.dtype.kind == 'f':
        img = img.astype(np.float32, copy=False)
    elif img.dtype != np.uint8:
        low, high = img.min(), img.max()
        check(0 <= low and high <= 255, f'no image: expected values 0 to 255, got {low} to {high}')
        img = img.astype(np.uint8)
    if channels == 1:
        return np.repeat(img.reshape(*img.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(img[..., :3]) if channels == 4 else img
