"""Gaussian targets against brute force and MMPose's; published readings of a peak, cell by cell."""

import math

import cv2
import numpy as np
import pytest
import torch
from mmpose.codecs import MSRAHeatmap
from mmpose.codecs.utils.post_processing import get_heatmap_maximum
from mmpose.models.utils.tta import flip_heatmaps
from mmpose.registry import KEYPOINT_CODECS

from mspose_plugin.utils.errors import InputError

INPUT, HEATMAP = (192, 256), (48, 64)


def codec(sigma=2, **options):
    return KEYPOINT_CODECS.build(
        dict(type='GaussianHeatmap', input_size=INPUT, heatmap_size=HEATMAP, sigma=sigma, **options)
    )


def persons(count=20, keypoints=17, margin=40, seed=0):
    """Yield random keypoints, inside and outside, and their visibility."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        places = rng.uniform(-margin, np.array(INPUT) + margin, (1, keypoints, 2))
        yield places.astype(np.float32), (rng.random((1, keypoints)) > 0.2).astype(np.float32)


# ---------------------------------------------------------------- encode


@pytest.mark.parametrize('sigma', [1, 2, 3, 1 / 3, 5 / 3])
def test_targets_are_msra_s_to_the_bit_where_three_sigma_is_whole(sigma):
    ours, theirs = codec(sigma), MSRAHeatmap(INPUT, HEATMAP, sigma)
    for keypoints, visible in persons():
        a, b = ours.encode(keypoints, visible), theirs.encode(keypoints, visible)
        assert np.array_equal(a['heatmaps'], b['heatmaps'])
        assert np.array_equal(a['keypoint_weights'], b['keypoint_weights'])
        assert a['heatmaps'].dtype == np.float32


def test_labels_default_to_visible():
    keypoints = np.full((1, 3, 2), 50, np.float32)
    assert codec().encode(keypoints)['keypoint_weights'].tolist() == [[1, 1, 1]]


def brute_force(cell, sigma, unbiased):
    """One heatmap, pixel by pixel."""
    x0, y0 = cell if unbiased else (math.floor(c + 0.5) for c in cell)
    width, height = HEATMAP
    heatmap = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            if abs(x - x0) <= 3 * sigma and abs(y - y0) <= 3 * sigma:
                heatmap[y, x] = math.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * sigma**2))
    return heatmap


@pytest.mark.parametrize('sigma', [1, 1.4, 1.7, 2.3, 2.9, 3.8])
@pytest.mark.parametrize('offset', [0, 0.375, 0.5])
@pytest.mark.parametrize('unbiased', [False, True])
def test_targets_are_centred_for_every_sigma(sigma, offset, unbiased):
    cells = np.array([[0.01, 0], [0.23, 63.33], [47.41, 0.37], [20.63, 30.29], [3.31, 2.83]])
    keypoints = ((cells + offset) * 4).astype(np.float32)[None]
    heatmaps = codec(sigma, cell_offset=offset, unbiased=unbiased).encode(keypoints)['heatmaps']
    for heatmap, cell in zip(heatmaps, cells):
        expected = brute_force(cell, sigma, unbiased)
        np.testing.assert_allclose(heatmap, expected, atol=2e-6)
        peak = np.unravel_index(heatmap.argmax(), heatmap.shape)[::-1]
        assert np.abs(peak - cell).max() <= 0.5 + 1e-6


@pytest.mark.parametrize('sigma, cell', [(2.9, 5), (1.7, 20)])
def test_msra_is_off_where_three_sigma_is_not_whole(sigma, cell):
    """The reason to draw anew: the left or the right side of the heatmap, depending on sigma."""
    keypoints = np.full((1, 1, 2), 4 * cell, np.float32)
    theirs = MSRAHeatmap(INPUT, HEATMAP, sigma).encode(keypoints)['heatmaps'][0]
    ours = codec(sigma).encode(keypoints)['heatmaps'][0]
    assert ours[cell, cell] == 1 and theirs[cell, cell] < 1


def test_a_window_outside_has_no_weight():
    cells = np.array([[20, 30], [-8, 30], [-9, 30], [54, 30], [53, 30], [20, -9], [20, 70]])
    encoded = codec(2).encode((cells * 4).astype(np.float32)[None])
    # as in MMPose, a window that ends just before cell 0 keeps its weight
    assert encoded['keypoint_weights'][0].tolist() == [1, 1, 0, 0, 1, 0, 0]
    inside = encoded['heatmaps'].any((1, 2))
    assert inside.tolist() == [True, False, False, False, True, False, False]


def test_unlabelled_keypoints_are_not_drawn_even_without_a_place():
    keypoints = np.array([[[np.nan, np.nan], [40, 40], [-900, 0]]], np.float32)
    visible = np.array([[0, 0, 0]], np.float32)
    with np.errstate(invalid='raise', divide='raise'):
        encoded = codec().encode(keypoints, visible)
    assert not encoded['heatmaps'].any() and np.array_equal(encoded['keypoint_weights'], visible)


# ---------------------------------------------------------------- decode


@pytest.mark.parametrize('offset', [0, 0.375, 0.5])
@pytest.mark.parametrize('unbiased', [False, True])
def test_round_trip_is_within_the_quantisation(offset, unbiased):
    refine = dict(refine='dark', blur_kernel_size=11) if unbiased else {}
    it = codec(2, cell_offset=offset, unbiased=unbiased, **refine)
    for keypoints, _ in persons(5, margin=-8):
        found, scores = it.decode(it.encode(keypoints)['heatmaps'])
        assert found.shape == (1, 17, 2) and scores.shape == (1, 17)
        inner = ((keypoints > 16) & (keypoints < np.array(INPUT) - 16)).all(-1)
        error = np.abs(found - keypoints)
        assert error.max() <= 2 + 1e-4
        if unbiased:
            assert error[inner].max() < 0.15  # pixels of the input, 4 to a cell
        else:
            assert np.all(scores == 1)


def random_heatmaps(seed=0, count=60):
    """Yield maps with ties, peaks at borders and corners, and nothing positive in some."""
    rng = np.random.default_rng(seed)
    width, height = HEATMAP
    for i in range(count):
        heatmaps = rng.normal(0, 1, (17, height, width)).astype(np.float32)
        if i % 3 == 1:
            heatmaps = np.round(heatmaps)  # many ties
        heatmaps[0] = 0
        heatmaps[1] = -np.abs(heatmaps[1])
        for k, (y, x) in enumerate(
            [
                (0, 0),
                (0, 9),
                (height - 1, 9),
                (9, 0),
                (9, width - 1),
                (1, 1),
                (height - 2, width - 2),
                (height - 1, width - 1),
            ]
        ):
            heatmaps[k + 2, y, x] = 9
        yield heatmaps


def bearpaw(heatmap):
    """Cell of a peak and the quarter, in 1-based cells as bearpaw/pytorch-pose counts them."""
    height, width = heatmap.shape
    best, px, py = 0.0, 0, 0
    for y in range(height):
        for x in range(width):
            if heatmap[y, x] > best:
                best, px, py = heatmap[y, x], x + 1, y + 1
    place = [float(px), float(py)]
    if 1 < px < width and 1 < py < height:
        for axis, (after, before) in enumerate(
            [
                (heatmap[py - 1, px], heatmap[py - 1, px - 2]),
                (heatmap[py, px - 1], heatmap[py - 2, px - 1]),
            ]
        ):
            place[axis] += 0.25 * (int(after > before) - int(after < before))
    return place


def test_quarter_is_bearpaw_s():
    it = codec(cell_offset=0.5, refine='quarter')
    for heatmaps in random_heatmaps(count=12):
        found, scores = it.decode(heatmaps)
        expected = [[(c + 0.5 - 1) * 4 for c in bearpaw(h)] for h in heatmaps]
        assert np.abs(found[0] - expected).max() < 1e-4
        assert np.array_equal(scores[0], heatmaps.max((1, 2)))


def test_without_refinement_it_is_the_highest_cell():
    for heatmaps in random_heatmaps(count=6):
        cells, scores = get_heatmap_maximum(heatmaps)
        found, ours = codec().decode(heatmaps)
        assert np.array_equal(found[0], cells * 4) and np.array_equal(ours[0], scores)


def test_quarter_differs_from_msra_s_at_the_border_only():
    ours, theirs = codec(refine='quarter'), MSRAHeatmap(INPUT, HEATMAP, 2)
    for heatmaps in random_heatmaps():
        a, b = ours.decode(heatmaps)[0][0], theirs.decode(heatmaps)[0][0]
        x, y = get_heatmap_maximum(heatmaps)[0].T
        inner = (x > 1) & (x < HEATMAP[0] - 1) & (y > 1) & (y < HEATMAP[1] - 1)
        assert inner.any() and np.array_equal(a[inner], b[inner])


def test_dark_is_mmpose_s():
    ours = codec(refine='dark', blur_kernel_size=11)
    theirs = MSRAHeatmap(INPUT, HEATMAP, 2, unbiased=True, blur_kernel_size=11)
    for keypoints, _ in persons(4, margin=-8):
        heatmaps = codec(unbiased=True).encode(keypoints)['heatmaps']
        before = heatmaps.copy()
        assert np.array_equal(ours.decode(heatmaps)[0], theirs.decode(heatmaps)[0])
        assert np.array_equal(heatmaps, before)


def cpn(heatmap, kernel=21):
    """Peak of GengDavid/pytorch-cpn's test, in input pixels at stride 4, and its score."""
    border = kernel // 2
    padded = np.zeros(np.array(heatmap.shape) + 2 * border, np.float32)
    padded[border:-border, border:-border] = heatmap
    blurred = cv2.GaussianBlur(padded, (kernel, kernel), 0)
    y, x = np.unravel_index(blurred.argmax(), blurred.shape)
    blurred[y, x] = 0
    y2, x2 = np.unravel_index(blurred.argmax(), blurred.shape)
    dx, dy = float(x2 - x), float(y2 - y)
    length = math.hypot(dx, dy)
    place = np.array([x - border, y - border], float)
    if length > 1e-3:
        place += 0.25 * np.array([dx, dy]) / length
    place = np.clip(place, 0, np.array(heatmap.shape[::-1]) - 1)
    return 4 * place + 2, heatmap[int(round(place[1])), int(round(place[0]))]


def test_second_peak_is_cpn_s():
    it = codec(cell_offset=0.5, refine='second_peak', blur_kernel_size=21)
    rng = np.random.default_rng(0)
    for keypoints, visible in persons(6, margin=10):
        heatmaps = codec(2.9).encode(keypoints, visible)['heatmaps']
        heatmaps += rng.normal(0, 0.05, heatmaps.shape).astype(np.float32)
        before = heatmaps.copy()
        found, scores = it.decode(heatmaps)
        expected = [cpn(h) for h in heatmaps]
        assert np.abs(found[0] - [place for place, _ in expected]).max() < 1e-4
        assert scores[0].tolist() == [score for _, score in expected]
        assert np.array_equal(heatmaps, before)


@pytest.mark.parametrize(
    'options',
    [
        {},
        dict(refine='quarter'),
        dict(refine='second_peak', blur_kernel_size=21),
        dict(refine='dark', blur_kernel_size=11),
    ],
)
def test_nothing_positive_is_no_place(options):
    it = codec(cell_offset=0.5, **options)
    with np.errstate(all='raise'):
        found, scores = it.decode(np.zeros((3, *HEATMAP[::-1]), np.float32))
    assert np.all(found == -2) and np.all(scores == 0)


# ---------------------------------------------------------------- flip


@pytest.mark.parametrize(
    'offset, shift, off',
    [(0.375, False, 0), (0, True, 0.25), (0, False, -0.75), (0.5, False, 0.25)],
)
def test_which_offset_needs_no_shift_in_a_flip_test(offset, shift, off):
    """The mirrored prediction, flipped back, lies ``off`` cells right of the plain one."""
    width, stride = INPUT[0], 4
    it = codec(3, cell_offset=offset, unbiased=True)
    plain = np.array([[[90.3, 100.0]]], np.float32)
    mirrored = plain.copy()
    mirrored[..., 0] = width - 1 - plain[..., 0]  # as images are mirrored
    back = flip_heatmaps(
        torch.from_numpy(it.encode(mirrored)['heatmaps'])[None],
        flip_indices=[0],
        shift_heatmap=shift,
    )[0].numpy()

    def centre(heatmap):
        return (heatmap.sum(0) * np.arange(heatmap.shape[1])).sum() / heatmap.sum()

    ours = centre(it.encode(plain)['heatmaps'][0])
    # the window of 3 sigma cuts a little more on one side than on the other
    assert centre(back[0]) - ours == pytest.approx(off, abs=0.06)
    assert shift - (1 - 1 / stride - 2 * offset) == pytest.approx(off)


# ---------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    'options, words',
    [
        (
            dict(refine='third'),
            "refine='third': expected one of None, 'quarter', 'second_peak', 'dark'",
        ),
        (
            dict(refine='dark'),
            "size=0: expected an odd number of 3 or more with refine='dark'",
        ),
        (dict(refine='second_peak', blur_kernel_size=20), 'blur_kernel_size=20: expected an odd'),
    ],
)
def test_arguments(options, words):
    with pytest.raises(InputError, match=words):
        codec(**options)


def test_what_mmpose_s_codecs_have():
    it = codec(2)
    assert (it.sigma, it.input_size, it.heatmap_size) == (2, INPUT, HEATMAP)
    assert it.scale_factor.tolist() == [4, 4]
    assert it.label_mapping_table and it.field_mapping_table and not it.support_batch_decoding
