"""The search for options of conditional testing, on score models whose truth is known."""

import numpy as np
import pytest

from mspose_plugin.evaluation.threshold_search import CERTAINTY, Recording, Search
from mspose_plugin.models.pose_estimators.conditional_options import ConditionalOptions
from mspose_plugin.models.pose_estimators.fusion import retry_and_fuse

TABLE = np.array([(-0.1, 0, 1), (0.1, 0, 1), (0, -0.1, 1), (0, 0, 1.2)])
NAMES = ('sides', 'images', 'truth', 'norms', 'weights')


def record(
    persons=300,
    helps=(),
    confident=0.8,
    unsure=0.3,
    second_opinion=0.0,
    seed=0,
    keypoints=6,
    passes=2,
    noise=0.05,
    persons_per_image=1,
):
    """Return a recording in which a quarter of the first estimates are wrong.

    Args:
        persons: N.
        helps: perturbations that put most misses right; the others repeat the first estimate.
        confident: confidence of what is right.
        unsure: confidence of what is wrong.
        second_opinion: share of the misses that all trials put right, and as many hits that they
            spoil: a gain in appearance that no threshold can have in truth.
    """
    rng = np.random.default_rng(seed)
    shape = (persons, keypoints)
    missed = np.repeat((rng.random(shape) < 0.25)[None], 1 + len(TABLE), axis=0)
    for trial in helps:
        missed[1 + trial] &= rng.random(shape) < 0.2
    missed[1:] ^= rng.random(shape) < second_opinion * np.where(missed[0], 1, 1 / 3)
    truth = rng.uniform(0, 200, (*shape, 2))
    wrong = truth + rng.choice([-60, 60], (*shape, 2))
    position = np.where(missed[..., None], wrong, truth) + rng.normal(0, 1, (*missed.shape, 2))
    scores = np.where(missed, unsure, confident) + rng.normal(0, noise, missed.shape)
    weights = (rng.random(shape) < 0.9).astype(float)
    weights[:, 0] = 0  # one that is never scored
    return Recording(
        TABLE,
        position,
        scores,
        np.full(persons, 200.0),
        np.arange(persons) // persons_per_image,
        truth,
        np.full(shape, 20.0),
        weights,
        lambda d: (d <= 1).astype(float),
        passes,
    )


def gain(recording, setting):
    """Return gain in points and extra passes a person, one person at a time."""
    cfg = ConditionalOptions(perturbations=TABLE[list(setting.chosen)], **setting.options)
    found = again = passes = 0.0
    for n in range(len(recording.sides)):
        keypoints, scores = recording.keypoints[:, n], recording.scores[:, n]
        out = retry_and_fuse(
            keypoints[None, 0],
            scores[None, 0],
            recording.sides[[n]],
            np.ones((1, len(cfg.perturbations)), bool),
            cfg,
            lambda who, which: tuple(
                part[1 + np.array(setting.chosen)[which]]
                for part in (keypoints, scores)  # noqa: B023
            ),
        )  # noqa: B023
        for k in np.flatnonzero(recording.weights[n]):
            off = [
                np.hypot(*(p[k] - recording.truth[n, k])) for p in (keypoints[0], out.keypoints[0])
            ]
            found, again = found + (off[0] <= 20), again + (off[1] <= 20)
        passes += int(out.trials[0]) * recording.passes
    total = recording.weights.sum()
    return 100 * (again - found) / total, passes / len(recording.sides)


def test_the_one_perturbation_that_helps_is_found():
    setting = Search(record(helps=[3])).best()
    assert setting.chosen == (3,)
    thresholds = setting.options['thresholds']
    assert thresholds[0] == 0, 'a keypoint that is never scored asks for nothing'
    # no more than the missed quarter is asked about
    assert (thresholds[1:] > 0).all() and (thresholds[1:] < 0.75).all()
    points, extra = gain(record(helps=[3], seed=1), setting)
    everybody = Search(record(helps=[3])).recording.replay((3,), thresholds=[9.0])
    assert points > 10 and extra < 0.9 * 2 * everybody.trials.mean()


def test_value_is_the_certain_gain_for_a_pass():
    recording = record(helps=[1, 2])
    setting = Search(recording).best()
    points, extra = gain(recording, setting)
    out = recording.replay(setting.chosen, **setting.options)
    gains = (recording.points(out.keypoints) - recording.plain).sum(axis=1)
    assert gains.sum() == pytest.approx(points)
    assert out.trials.mean() * recording.passes == pytest.approx(extra)
    certain = recording.certain(gains[:, None])[0]
    assert setting.value == pytest.approx(certain / extra) and 0 < certain < points
    # of the mean of independent persons' gains, when all weigh the same
    equal = Recording(
        **{
            name: getattr(recording, name)
            for name in ('perturbations', 'keypoints', 'scores', 'credit', *NAMES[:-1])
        },
        weights=np.ones_like(recording.weights),
    )
    values = np.random.default_rng(0).normal(size=300)
    error = values.std(ddof=1) / np.sqrt(300)
    assert equal.certain(values[:, None] / 300)[0] == pytest.approx(
        values.mean() - CERTAINTY * error, rel=1e-6
    )


@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(unsure=0.8),
        dict(second_opinion=0.3, unsure=0.8),
        dict(second_opinion=0.3, unsure=0.8, noise=0.2),
        dict(helps=[0], confident=0.3, unsure=0.8),
    ],
)  # the wrong ones are the confident ones
@pytest.mark.parametrize('seed', range(3))
def test_nothing_is_found_where_trying_again_does_not_help(options, seed):
    assert Search(record(seed=seed, **options)).best().value <= 0


def test_aim_and_limit_of_passes():
    recording = record(helps=[0, 1, 2, 3])
    thrifty, most = Search(recording).best(), Search(recording, 'gain').best()
    (points, extra), (more, dear) = gain(recording, thrifty), gain(recording, most)
    assert more > points and dear > extra and points / extra > more / dear
    limited = Search(recording, 'gain', max_passes=3.0).best()
    points, extra = gain(recording, limited)
    assert 0 < extra <= 1 and 0 < points < more


def test_stopping_early_is_taken_where_it_pays():
    """Either of two perturbations puts most right: the second is for whom the first did not."""
    recording = record(helps=[0, 2], noise=0.01)
    search = Search(recording)
    once = search._fit((0, 2), agreement=0.0)
    early = search._stop_early(once)
    assert early.options == {**once.options, 'trials_per_round': 1} and early.value > once.value
    points, extra = gain(recording, once)
    less, cheaper = gain(recording, early)
    assert less > 0.9 * points and cheaper < 0.8 * extra
    assert search._stop_early(search._fit((0,), agreement=0.0)).options.keys() == {
        'thresholds',
        'agreement',
        'score_threshold',
    }


def test_halves_keep_images_together():
    recording = record(persons=90, persons_per_image=3)
    first, second = recording.halves(0)
    assert not set(first.images) & set(second.images)
    assert set(first.images) | set(second.images) == set(range(30))
    assert len(set(first.images)) == 15 and len(first.sides) == 45
    again, _ = recording.halves(0)
    other, _ = recording.halves(1)
    assert np.array_equal(first.images, again.images)
    assert not np.array_equal(first.images, other.images)
    at = np.isin(recording.images, first.images)
    for name in NAMES:
        assert np.array_equal(getattr(first, name), getattr(recording, name)[at])
    assert np.array_equal(first.keypoints, recording.keypoints[:, at])


def test_interval_covers_the_mean_of_images():
    recording = record(persons=400, persons_per_image=2, keypoints=1)
    recording.weights[:] = 1
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(50):
        gains = np.repeat(rng.normal(0.5, 1, 200), 2) / 400  # the same for both in an image
        low, high = recording.interval(gains, 0.9, seed)
        hits += low <= 0.5 <= high
        # as wide as 200 images are worth, not 400 persons
        assert high - low == pytest.approx(2 * 1.645 / np.sqrt(200), rel=0.25)
    assert 40 <= hits <= 49


def test_a_trial_that_was_not_made_is_not_replayed():
    recording = record(helps=[3])
    recording.keypoints[4, :150] = recording.scores[4, :150] = np.nan
    out = recording.replay((3, 0), thresholds=[9.0])
    assert out.trials.tolist() == [1] * 150 + [2] * 150
    assert np.isfinite(out.keypoints).all()
