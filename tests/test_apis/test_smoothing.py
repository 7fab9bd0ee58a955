"""The 1€ filter against the truth: less jitter, a bounded lag, nothing across ids and gaps."""

import moving_people
import numpy as np
import pytest

from mspose_plugin.apis.smoothing import OneEuroFilter
from mspose_plugin.utils.errors import InputError

RATE = 25.0
ONE = np.array([1])


def smoothed(points, scores=None, ids=None, sizes=100.0, rate=RATE, **options):
    """Filter ``[T, N, K, 2]``."""
    count = points.shape[1]
    ids = np.arange(1, count + 1) if ids is None else np.asarray(ids)
    scores = np.ones(points.shape[:3]) if scores is None else scores
    sizes = np.broadcast_to(sizes, points.shape[:2])
    run = OneEuroFilter(**options)
    return np.stack(
        [run(ids, p, s, z, t / rate) for t, (p, s, z) in enumerate(zip(points, scores, sizes))]
    )


def jitter(points):
    """Return how far joints jump to and fro between frames."""
    return np.linalg.norm(np.diff(points, n=2, axis=0), axis=-1).mean()


@pytest.fixture(scope='module')
def walkers():
    """Return true joints and heights of walking people, and joints 1.2 % of the height off."""
    walks = [moving_people.Walk(0.1, 0.9, 0.6), moving_people.Walk(0.9, 0.5, 0.8)]
    clip = moving_people.walk(walks, 100, draw=False)
    heights = clip.boxes[..., 3] - clip.boxes[..., 1]
    noise = np.random.default_rng(0).standard_normal(clip.keypoints.shape)
    return clip.keypoints, heights, clip.keypoints + 0.012 * heights[..., None, None] * noise


def test_walkers_jitter_less_and_are_nearer_to_the_truth(walkers):
    truth, heights, noisy = walkers
    found = smoothed(noisy, sizes=heights)
    assert jitter(found) < 0.6 * jitter(noisy)
    assert (
        np.linalg.norm(found - truth, axis=-1).mean()
        < 0.9 * np.linalg.norm(noisy - truth, axis=-1).mean()
    )


def test_the_lag_of_walkers(walkers):
    truth, heights, _ = walkers
    lag = np.linalg.norm(smoothed(truth, sizes=heights) - truth, axis=-1) / heights[..., None]
    assert lag.mean() < 0.01 and lag.max() < 0.025


def test_one_who_stands_still():
    noise = np.random.default_rng(0).standard_normal((200, 1, 16, 2))
    found = smoothed(noise)
    assert jitter(found) < 0.35 * jitter(noise)
    assert np.abs(found[50:]).mean() < 0.6 * np.abs(noise[50:]).mean()


@pytest.mark.parametrize('speed', [0.1, 1.0, 10.0])  # sizes a second
@pytest.mark.parametrize('coefficient', [4.0, 12.0])
def test_the_stated_bound_in_steady_motion(speed, coefficient):
    truth = np.linspace(0, 100 * speed * 8, 200)[:, None, None, None] * np.array([0.6, 0.8])
    found = smoothed(truth, speed_coefficient=coefficient)
    behind = np.linalg.norm(truth - found, axis=-1)[-50:]
    assert (behind > 0).all() and (behind < 100 / (2 * np.pi * coefficient)).all()


def test_sizes_and_frame_rates_make_no_difference():
    rng = np.random.default_rng(0)
    points = rng.standard_normal((50, 1, 4, 2))
    found = smoothed(points)
    assert np.allclose(smoothed(7 * points, sizes=700.0), 7 * found)
    slow, fast = (np.array([t * 2.0 for t in range(60)]), np.array([t * 1.0 for t in range(120)]))
    ends = [
        smoothed(x[:, None, None, None] * np.ones(2), rate=rate)[-1] - x[-1]
        for x, rate in ((slow, 25), (fast, 50))
    ]
    assert np.allclose(*ends, rtol=0.25)


def test_nothing_is_smoothed_over_a_gap_or_another_id():
    run, k = OneEuroFilter(), np.ones((1, 3))
    near, far = np.zeros((1, 3, 2)), np.full((1, 3, 2), 90.0)
    sizes, none = np.array([100.0]), np.zeros(0, int)
    run(ONE, near, k, sizes, 0.0)
    assert (run(ONE, far, k, sizes, 0.04) < 89).all()  # the same person is
    assert np.array_equal(run(np.array([2]), near, k, sizes, 0.08), near)
    run(none, near[:0], k[:0], sizes[:0], 0.12)
    assert np.array_equal(run(np.array([2]), far, k, sizes, 0.16), far)


def test_persons_keep_their_own_history_in_any_order():
    points = np.random.default_rng(0).standard_normal((20, 2, 3, 2)) + [[[0.0]], [[500.0]]]
    alone = np.concatenate([smoothed(points[:, :1]), smoothed(points[:, 1:], ids=[2])], axis=1)
    assert np.allclose(smoothed(points), alone)
    run, ids = OneEuroFilter(), np.array([1, 2])
    for t, frame in enumerate(points):
        order = [0, 1] if t % 2 else [1, 0]
        found = run(ids[order], frame[order], np.ones((2, 3)), np.full(2, 100.0), t / RATE)
        assert np.allclose(found, alone[t][order])


def test_without_an_id_nothing_changes():
    points = np.random.default_rng(0).standard_normal((9, 3, 4, 2))
    assert np.array_equal(smoothed(points, ids=[0, 0, 0]), points)


def test_an_unsure_outlier_counts_for_little():
    points, scores = np.zeros((30, 1, 1, 2)), np.ones((30, 1, 1))
    points[20] = 50.0
    sure = smoothed(points, scores)[20]
    scores[20] = 0.05
    unsure = smoothed(points, scores)[20]
    assert np.abs(sure).max() > 25 and np.abs(unsure).max() < 10
    # scores are compared, not taken as they are: half of all changes nothing
    noise = np.random.default_rng(0).standard_normal((30, 1, 5, 2))
    half = np.full(noise.shape[:3], 0.5)
    assert np.allclose(smoothed(noise, half), smoothed(noise))


@pytest.mark.parametrize(
    'options', [dict(min_cutoff=0), dict(speed_coefficient=-1), dict(velocity_cutoff=float('nan'))]
)
def test_bad_options(options):
    with pytest.raises(InputError, match=next(iter(options))):
        OneEuroFilter(**options)
