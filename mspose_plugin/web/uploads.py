"""Images from strangers: decoded only if they are images, and not too large ones."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mspose_plugin.apis.inputs import from_pil
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.errors import InputError

FORMATS = ('JPEG', 'PNG', 'WEBP', 'GIF', 'BMP', 'TIFF', 'MPO')
"""What Pillow may decode; others that it knows start further programs, as EPS does."""
ANIMATED = ('GIF', 'PNG', 'WEBP')


@dataclass(frozen=True)
class Limits:
    """The largest image that the page takes.

    Args:
        megabytes: of the file, 2**20 bytes each. Default: 20.
        megapixels: of the decoded image. Default: 50.
    """

    megabytes: float = 20
    megapixels: float = 50


def read_upload(path: str, limits: Limits) -> tuple[np.ndarray, str]:
    """Decode an image of unknown origin; its size is known and checked before that.

    Args:
        path: of the file.
        limits: what is too large.

    Returns:
        The image, upright, ``[H, W, 3]``, uint8, BGR; and what should be known about it, mostly
        nothing: only the first picture of an animation is taken.

    Raises:
        InputError: no image of :data:`FORMATS`, a broken or a too large one.
    """
    size = os.path.getsize(path) / 2**20
    check(
        size <= limits.megabytes,
        f'the file has {size:.1f} MB, more than the {limits.megabytes:g} MB that this page takes; '
        'make it smaller',
    )
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of sizes, which the limit is for, and of odd EXIF
        try:
            image = Image.open(path, formats=FORMATS)
        except Image.DecompressionBombError:
            raise InputError(_too_many('far more', limits)) from None
        except Exception as e:  # Pillow has no common one for what can be wrong in a file
            kinds = ', '.join(FORMATS[:-1])
            raise InputError(f'this is no image, or a broken one; expected {kinds}') from e
        with image:
            width, height = image.size
            pixels = width * height / 1e6
            many = f'{width} x {height} pixels, {pixels:.0f} megapixels, more'
            check(pixels <= limits.megapixels, _too_many(many, limits))
            try:
                array = from_pil(image)
                animated = image.format in ANIMATED and getattr(image, 'is_animated', False)
            except Exception as e:
                raise InputError('this image is broken or incomplete; save it again') from e
    return array, 'The first picture of an animation.' if animated else ''


def _too_many(many: str, limits: Limits) -> str:
    limit = f'the {limits.megapixels:g} megapixels that this page takes'
    return f'the image has {many} than {limit}; make it smaller'
