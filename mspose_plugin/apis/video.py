"""Videos: frames per second of one, and frames written to one."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from mspose_plugin.utils.checks import check
from mspose_plugin.utils.files import TEMPORARY, this_writer


def frame_rate(path: str) -> tuple[float, int | None]:
    """Return a video's frames per second and their number.

    Args:
        path: of the file.

    Returns:
        Frames per second, 25 where the file does not say; number of frames, None likewise.
    """
    capture = cv2.VideoCapture(path)
    rate, count = capture.get(cv2.CAP_PROP_FPS), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    capture.release()
    return rate if 0 < rate < 1000 else 25.0, count if count > 0 else None


class VideoWriter:
    """Write frames to an MP4 file (MPEG-4), which exists once it is complete.

    Odd widths and heights are made even: the last column or row comes twice.

    Args:
        path: the file; its folder is made. An existing file is replaced.
        rate: frames per second.

    Examples:
        >>> with VideoWriter('out.mp4', 25) as video:  # doctest: +SKIP
        ...     video.write(frame)
    """

    def __init__(self, path: str, rate: float) -> None:
        self.path, self.rate = Path(path), rate
        name = TEMPORARY.format(name=self.path.stem, writer=this_writer())
        self._temporary = self.path.with_name(name + '.mp4')  # OpenCV goes by the ending
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def write(self, frame: np.ndarray) -> None:
        """Append a frame.

        Args:
            frame: ``[H, W, 3]``, uint8, BGR; all of the first one's size.

        Raises:
            InputError: OpenCV cannot write such a file, or the frame has another size.
        """
        height, width = frame.shape[:2]
        right, bottom = width % 2, height % 2
        if self._writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._size = width, height
            even = width + right, height + bottom
            codec = cv2.VideoWriter.fourcc(*'mp4v')
            self._writer = cv2.VideoWriter(str(self._temporary), codec, self.rate, even)
            check(self._writer.isOpened(), f'{self.path}: OpenCV cannot write MPEG-4 here')
        sizes = '{}x{} among those of {}x{}'.format(width, height, *self._size)
        fits = (width, height) == self._size
        check(fits, f'{self.path}: a frame of {sizes}; a video has frames of one size')
        # MPEG-4 has pairs of pixels: without the border OpenCV drops the last row or column
        if right or bottom:
            frame = cv2.copyMakeBorder(frame, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
        self._writer.write(frame)

    def __enter__(self) -> VideoWriter:
        """Return the writer."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Complete the file, or remove it where an error came."""
        if self._writer is not None:
            self._writer.release()
            if kind is None:
                os.replace(self._temporary, self.path)
        self._temporary.unlink(missing_ok=True)
