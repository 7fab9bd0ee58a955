"""Image loading that notices broken files and takes any kind of image.

OpenCV decodes a JPEG that breaks off without a word: the missing part comes out grey, and the
network is trained or judged on it. ``LoadImageChecked`` reads the file's markers instead, which
costs nothing next to decoding.
"""

from __future__ import annotations

import os
import re
from typing import Any

import cv2
import mmcv
import numpy as np
from mmengine.fileio import get
from mmengine.logging import MMLogger
from mmpose.datasets.transforms import LoadImage
from mmpose.registry import TRANSFORMS

from mspose_plugin.utils.errors import InputError

MAX_BROKEN_RUN = 100  # consecutive broken images before training is given up
_AFTER_SCAN = re.compile(rb'\xff+[^\x00\xff\xd0-\xd7]')  # a marker that ends JPEG scan data
_broken = dict(total=0, run=0)  # of this process: data loader workers each have their own


@TRANSFORMS.register_module()
class LoadImageChecked(LoadImage):
    """Load an image as three-channel BGR, from ``img_path`` or from the array in ``img``.

    Grey images, images with an alpha channel (which is ignored) and 16-bit images (whose upper 8
    bits are kept) become 8-bit BGR; float arrays keep their values.

    Args:
        skip_broken: return None for a file that is missing, unreadable or truncated, so that the
            dataset fetches another one, with a counted warning; for training. False raises.
            Default: False.
        **kwargs: as MMPose's ``LoadImage``: ``to_float32``, ``color_type``, ``imdecode_backend``,
            ``backend_args``, ``ignore_empty`` (the same as ``skip_broken``) ...

    Raises:
        InputError: a broken image with ``skip_broken=False``, more than 100 broken images in a row
            with ``skip_broken=True``, or an array that is not an image.
    """

    def __init__(self, *, skip_broken: bool = False, **kwargs: Any) -> None:
        """Refuse the old name of ``backend_args``; see the class for the arguments."""
        if kwargs.get('file_client_args') is not None:
            raise InputError('LoadImageChecked: use backend_args in place of file_client_args')
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
        if 'img' in results:
            img = to_bgr(results['img'])
            results.setdefault('img_path', None)
        else:
            path = results['img_path']
            try:
                img = to_bgr(self.read(path))
            except InputError as e:
                if not (self.skip_broken or self.ignore_empty):
                    raise
                return skip(path, e)
            _broken['run'] = 0
        results['img'] = img.astype(np.float32) if self.to_float32 else img
        results['img_shape'] = results['ori_shape'] = img.shape[:2]
        return results

    def read(self, path: str) -> np.ndarray:
        """Read and decode a file.

        Args:
            path: path or URL, as mmengine's file backends take it.

        Returns:
            The decoded image.

        Raises:
            InputError: the file is missing, empty, truncated, not an image or no regular file.
        """
        if not os.path.isfile(path) and os.path.exists(path):  # reading a pipe would wait for ever
            raise InputError(
                f'cannot read image {path}: not a regular file; check data_root and data_prefix'
            )
        try:
            data = get(path, backend_args=self.backend_args)
        except (OSError, KeyError, ImportError) as e:
            reason = (
                f'unknown scheme {e}'
                if isinstance(e, KeyError)
                else (getattr(e, 'strerror', None) or e)
            )
            raise InputError(
                f'cannot read image {path}: {reason}; check data_root and '
                'data_prefix, or download it again'
            ) from e
        fault = 'the file is empty' if not len(data) else truncation(data)
        img = None
        if not fault:
            try:
                img = mmcv.imfrombytes(data, flag=self.color_type, backend=self.imdecode_backend)
            except (cv2.error, OSError, SyntaxError, ValueError):  # OpenCV's, then Pillow's
                pass
        if img is None:
            raise InputError(
                f'cannot read image {path}: {fault or "not an image"}; replace the '
                'file or remove its annotations'
            )
        return img

    def __repr__(self) -> str:
        """Return the constructor call."""
        return f'{super().__repr__()[:-1]}, skip_broken={self.skip_broken})'


def truncation(data: bytes) -> str | None:
    """Say what is missing from the end of a JPEG or PNG file, or None.

    Args:
        data: content of the file.
    """
    if data[:2] == b'\xff\xd8':
        if data[-2:] != b'\xff\xd9' and not jpeg_is_complete(data):
            return 'the JPEG file is truncated'
    elif data[:4] == b'\x89PNG' and data.rfind(b'IEND') < 0:
        return 'the PNG file is truncated'
    return None


def jpeg_is_complete(data: bytes) -> bool:
    """Walk a JPEG's segments and say whether its end marker comes.

    A search for the marker alone would find those of an embedded thumbnail or of data appended to
    the image.
    """
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        at += 2 + int.from_bytes(data[at + 2 : at + 4], 'big')
        if marker == 0xDA:  # start of scan: compressed data up to the next marker
            found = _AFTER_SCAN.search(data, at)
            if found is None:
                return False
            if data[found.end() - 1] == 0xD9:
                return True
            at = found.end() - 2
    return False


def skip(path: str, error: InputError) -> None:
    """Count a broken image, warn, and give up when nothing else comes."""
    _broken['total'] += 1
    _broken['run'] += 1
    total = _broken['total']
    if _broken['run'] > MAX_BROKEN_RUN:
        raise InputError(f'more than {MAX_BROKEN_RUN} broken images in a row, the last: {error}')
    if total <= 10 or total % 100 == 0:  # ten in full, then every hundredth
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
    if not isinstance(img, np.ndarray):
        raise InputError(f'an image must be a NumPy array, got {type(img).__name__}')
    channels = img.shape[2] if img.ndim == 3 else 1
    if img.ndim not in (2, 3) or channels not in (1, 3, 4) or not img.size:
        raise InputError(
            'an image must be [H, W] or [H, W, C] with 1, 3 or 4 channels and not '
            f'empty, got {img.shape}'
        )
    if img.dtype == np.uint16:
        img = (img >> 8).astype(np.uint8)
    elif img.dtype == bool:
        img = img.astype(np.uint8) * 255
    elif img.dtype.kind in 'iu' and img.dtype != np.uint8:
        if img.min() < 0 or img.max() > 255:
            raise InputError(
                f'an image of {img.dtype} must lie within 0..255, got {img.min()}..{img.max()}'
            )
        img = img.astype(np.uint8)
    elif img.dtype.kind == 'f':
        img = img.astype(np.float32, copy=False)
    elif img.dtype != np.uint8:
        raise InputError(f'an image must hold numbers, got {img.dtype}')
    if channels == 1:
        return np.repeat(img.reshape(*img.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(img[..., :3]) if channels == 4 else img
