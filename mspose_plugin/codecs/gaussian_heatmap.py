"""Gaussian heatmaps with the place of a cell, and published ways of reading a peak.

MMPose's ``MSRAHeatmap`` takes heatmap cell i for input pixel 4i. Published hourglasses (bearpaw,
princeton) and the CPN family decode the middle of the cell instead, and read the peak by rules of
their own. Weights trained elsewhere therefore need a codec that knows both.
"""

from __future__ import annotations

import cv2
import numpy as np
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.codecs.utils.post_processing import get_heatmap_maximum
from mmpose.codecs.utils.refinement import refine_keypoints_dark
from mmpose.registry import KEYPOINT_CODECS

from mspose_plugin.utils.checks import check_choice, check_value

_QUARTER = np.float32(0.25)


@KEYPOINT_CODECS.register_module()
class GaussianHeatmap(BaseKeypointCodec):
    """Keypoints as Gaussian heatmaps whose peak is 1, with a choice of the cell's place.

    With ``cell_offset=0`` and a whole 3 sigma the targets are those of ``MSRAHeatmap``, which is a
    cell off near the left and upper edge or everywhere else where 3 sigma is not whole; here the
    Gaussian is centred for every sigma.

    Refinements of the highest cell when decoding:

    - ``None``: the cell itself.
    - ``'quarter'``: a quarter of a cell towards the larger neighbour, along x and y alike (bearpaw
      and Newell's stacked hourglasses, ``final_preds``). Not where the neighbours are equal, and
      not at all for a cell in the outermost row or column.
    - ``'second_peak'``: highest cell of the heatmap blurred over a border of zeros, a quarter of a
      cell towards its second highest (CPN and MLPE); the score is that of the unblurred heatmap at
      the nearest cell.
    - ``'dark'``: distribution-aware coordinates (Zhang et al., CVPR 2020), by MMPose's function.

    For a flip test without ``shift_heatmap`` the offset must be (1 - 1/stride) / 2, that is 0.375
    at stride 4, where the cell is the middle of the pixels it covers. With 0 the mirrored heatmaps
    lie 0.75 of a cell off (``shift_heatmap=True`` takes back 1), with 0.5 a quarter of a cell.

    Args:
        input_size: size of the input, [w, h] in pixels.
        heatmap_size: size of the heatmaps, [W, H] in cells.
        sigma: standard deviation of the Gaussian in heatmap cells. It is drawn within
            3 sigma of its centre.
        cell_offset: heatmap cell i stands for input pixel ``stride * (i + cell_offset)``.
            Defaults to 0, as in ``MSRAHeatmap``; 0.5 is that of the published hourglasses' and
            CPN's decoders, 0.375 the middle of pixels 4i to 4i + 3 at stride 4.
        refine: see above. Defaults to None.
        blur_kernel_size: odd size of the blur of ``'second_peak'`` (21 in CPN) and
            ``'dark'`` (11 for a sigma of 2) in cells; not used otherwise. Defaults to 0.
        unbiased: centre the Gaussian on the keypoint's exact place instead of the nearest
            cell. Defaults to False.

    Raises:
        InputError: an unknown ``refine``, or one that needs a blur without an odd kernel size.
    """

    label_mapping_table = dict(keypoint_weights='keypoint_weights')
    field_mapping_table = dict(heatmaps='heatmaps')

    def __init__(
        self,
        input_size: tuple[int, int],
        heatmap_size: tuple[int, int],
        sigma: float,
        cell_offset: float = 0.0,
        refine: str | None = None,
        blur_kernel_size: int = 0,
        unbiased: bool = False,
    ) -> None:
        super().__init__()
        check_choice('GaussianHeatmap: refine', refine, (None, *_REFINEMENTS))
        fits = refine in (None, 'quarter') or blur_kernel_size > 2 and blur_kernel_size % 2
        known = f'an odd number of 3 or more with refine={refine!r}'
        check_value(fits, 'GaussianHeatmap: blur_kernel_size', blur_kernel_size, known)
        self.input_size = input_size
        self.heatmap_size = heatmap_size
        self.sigma = sigma
        self.cell_offset = cell_offset
        self.refine = refine
        self.blur_kernel_size = blur_kernel_size
        self.unbiased = unbiased
        self.scale_factor = (np.array(input_size) / heatmap_size).astype(np.float32)

    def encode(
        self, keypoints: np.ndarray, keypoints_visible: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Draw the heatmaps.

        Args:
            keypoints: places in pixels of the input, [1, K, 2].
            keypoints_visible: [1, K]; below 0.5 is not drawn. Defaults to
                all visible.

        Returns:
            ``heatmaps`` [K, H, W], float32, and ``keypoint_weights`` [1, K], the visibility,
            0 where nothing of the Gaussian lies inside.
        """
        assert keypoints.shape[0] == 1, 'GaussianHeatmap encodes one person at a time'
        if keypoints_visible is None:
            keypoints_visible = np.ones(keypoints.shape[:2], np.float32)
        centres = keypoints[0] / self.scale_factor - np.float32(self.cell_offset)
        if not self.unbiased:
            # towards 0, as MMPose rounds: up to 1.5 cells outside counts as the outermost cell
            centres = np.trunc(centres + np.float32(0.5))
        labelled = keypoints_visible[0] >= 0.5
        radius = 3 * self.sigma
        # MMPose's bounds, which keep the weight of a Gaussian that ends just before cell 0
        outside = ((centres - radius >= self.heatmap_size) | (centres + radius + 1 < 0)).any(-1)
        dx, dy = (
            self._squared_distances(centres[:, i], labelled & ~outside, size)
            for i, size in enumerate(self.heatmap_size)
        )
        # the exponential of the sum, not the product of two: equal to MSRAHeatmap's to the bit
        heatmaps = dx[:, None, :] + dy[:, :, None]
        heatmaps /= np.float32(-2 * self.sigma**2)
        np.exp(heatmaps, out=heatmaps)
        weights = keypoints_visible.copy()
        weights[0, labelled & outside] = 0
        return dict(heatmaps=heatmaps, keypoint_weights=weights)

    def _squared_distances(self, centres: np.ndarray, drawn: np.ndarray, size: int) -> np.ndarray:
        """Squared distances of the cells from the centres, [K, size]; far where not to be drawn."""
        distances = np.arange(size, dtype=np.float32) - centres.astype(np.float32)[:, None]
        inside = (np.abs(distances) <= 3 * self.sigma) & drawn[:, None]
        # far enough for the exponential to be 0, and faster than infinity
        return np.where(inside, distances**2, np.float32(1e4 * self.sigma**2))

    def decode(self, encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the keypoints.

        Args:
            encoded: heatmaps, [K, H, W]; not changed.

        Returns:
            Places in pixels of the input [1, K, 2] and scores
            [1, K]. A heatmap without a positive value gives cell (-1, -1), as in MMPose.
        """
        cells, scores = get_heatmap_maximum(encoded)
        if self.refine is not None:
            found = scores > 0
            cells[found], scores[found] = _REFINEMENTS[self.refine](
                cells[found], scores[found], encoded[found], self.blur_kernel_size
            )
        places = (cells + np.float32(self.cell_offset)) * self.scale_factor
        return places[None], scores[None]


def _quarter(
    cells: np.ndarray, scores: np.ndarray, heatmaps: np.ndarray, kernel: int
) -> tuple[np.ndarray, np.ndarray]:
    """A quarter of a cell towards the larger neighbour."""
    height, width = heatmaps.shape[1:]
    x, y = cells.astype(int).T
    inner = np.flatnonzero((x > 0) & (x < width - 1) & (y > 0) & (y < height - 1))
    x, y = x[inner], y[inner]
    difference = np.stack(
        (
            heatmaps[inner, y, x + 1] - heatmaps[inner, y, x - 1],
            heatmaps[inner, y + 1, x] - heatmaps[inner, y - 1, x],
        ),
        axis=-1,
    )
    cells[inner] += _QUARTER * np.sign(difference)
    return cells, scores


def _second_peak(
    cells: np.ndarray, scores: np.ndarray, heatmaps: np.ndarray, kernel: int
) -> tuple[np.ndarray, np.ndarray]:
    """A quarter of a cell from the highest towards the second highest blurred cell."""
    if not len(heatmaps):
        return cells, scores
    count, height, width = heatmaps.shape
    border = kernel // 2
    padded = np.pad(
        heatmaps.astype(np.float32, copy=False), ((0, 0), (border, border), (border, border))
    )
    # OpenCV blurs all channels of an image in one call
    blurred = cv2.GaussianBlur(padded.transpose(1, 2, 0), (kernel, kernel), 0)
    blurred = blurred.reshape(-1, count).T.copy()
    first = blurred.argmax(1)
    blurred[np.arange(count), first] = 0
    second = blurred.argmax(1)
    first, second = (
        np.stack((i % padded.shape[2], i // padded.shape[2]), -1).astype(np.float32)
        for i in (first, second)
    )
    step = second - first
    length = np.linalg.norm(step, axis=-1, keepdims=True)
    cells = first - border + _QUARTER * step / np.maximum(length, 1)
    cells = np.clip(cells, 0, np.array([width - 1, height - 1], np.float32))
    x, y = np.rint(cells).astype(int).T
    return cells, heatmaps[np.arange(count), y, x]


def _dark(
    cells: np.ndarray, scores: np.ndarray, heatmaps: np.ndarray, kernel: int
) -> tuple[np.ndarray, np.ndarray]:
    """MMPose's refinement, which writes into its arguments."""
    return refine_keypoints_dark(cells[None], heatmaps.copy(), kernel)[0], scores


_REFINEMENTS = {'quarter': _quarter, 'second_peak': _second_peak, 'dark': _dark}
"""From the highest cells [K, 2], their values [K] and the heatmaps [K, H, W]: better ones."""
