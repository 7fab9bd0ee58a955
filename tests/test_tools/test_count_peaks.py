import pytest
import torch

from tools.count_peaks import second_peaks


def gaussians(*peaks, size=32, sigma=1.5):
    grid = torch.arange(size, dtype=torch.float32)
    out = torch.zeros(size, size)
    for x, y, height in peaks:
        out += height * torch.outer(
            torch.exp(-((grid - y) ** 2) / (2 * sigma**2)),
            torch.exp(-((grid - x) ** 2) / (2 * sigma**2)),
        )
    return out


@pytest.mark.parametrize(
    'peaks, expected',
    [
        ([], False),
        ([(10, 10, 1.0)], False),
        ([(10, 10, 1.0), (20, 20, 0.8)], True),
        ([(10, 10, 1.0), (20, 20, 0.4)], False),
        ([(10, 10, 1.0), (11, 10, 0.9)], False),
        ([(0, 0, 1.0), (31, 31, 1.0)], True),
        ([(5, 5, 1.0), (5, 25, 0.9), (25, 5, 0.9)], True),
    ],
)
def test_second_peaks(peaks, expected):
    assert second_peaks(gaussians(*peaks)).item() is expected


def test_every_map_is_judged_by_its_own_maximum():
    maps = torch.stack(
        [
            gaussians((5, 5, 1.0)),
            gaussians((5, 5, 0.1), (20, 20, 0.08)),
            gaussians((5, 5, 1.0), (20, 20, 0.9)),
        ]
    )
    assert second_peaks(maps).tolist() == [False, True, True]
    assert second_peaks(maps[None]).shape == (1, 3)


def test_how_strong_and_how_far_can_be_set():
    maps = gaussians((10, 10, 1.0), (16, 10, 0.4))
    assert not second_peaks(maps)
    assert second_peaks(maps, strong=0.3)
    assert not second_peaks(maps, strong=0.3, distance=8)
