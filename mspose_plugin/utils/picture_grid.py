"""Pictures that are a grid of cells, for the tools that draw."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from mspose_plugin.utils.checks import check
from mspose_plugin.utils.files import write_file

ENDINGS = ('.png', '.jpg', '.jpeg')
MAX_SIDE = 65500  # of a JPEG
MAX_PIXELS = 2**27  # some seconds of encoding


def check_size(num: int, columns: int, width: int, height: int) -> None:
    """Refuse a picture that would take minutes, or that no file format holds.

    Args:
        num: number of cells.
        columns: cells in a row.
        width: of a cell in pixels.
        height: likewise.

    Raises:
        InputError: more than :data:`MAX_PIXELS`, or a side longer than :data:`MAX_SIDE`.
    """
    columns, rows = min(num, columns), -(-num // columns)
    size = columns * width, rows * height
    check(
        max(size) <= MAX_SIDE and size[0] * size[1] <= MAX_PIXELS,
        f'{num} cells, {columns} in a row, make a picture of {size[0]} x {size[1]} pixels, more '
        f'than {MAX_SIDE} on a side or {MAX_PIXELS} in all; lower --num or --size',
    )


def save(cells: Sequence[np.ndarray], columns: int, path: str) -> None:
    """Put cells beside and below each other and write the picture, whole or not at all.

    Args:
        cells: BGR images ``[H, W, 3]`` of one size.
        columns: cells in a row; the last row is filled up with white.
        path: file to write; its ending says the format, one of :data:`ENDINGS`.
    """
    columns = min(columns, len(cells))
    cells = [*cells, *[np.full_like(cells[0], 255)] * (-len(cells) % columns)]
    picture = np.vstack([np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)])
    data = cv2.imencode('.' + path.rsplit('.', 1)[-1].lower(), picture)[1]
    write_file(path, data.tobytes())
