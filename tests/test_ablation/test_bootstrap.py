"""Intervals against all draws there are, and against a plain computation of the same draws."""

from itertools import product

import numpy as np
import pytest

from mspose_plugin.ablation.bootstrap import Bootstrap

HITS, LABELLED = np.array([[3, 0, 2, 4], [1, 1, 2, 3]]), np.array([4, 2, 3, 5])


def test_value_and_spread():
    found = Bootstrap(range(4)).estimate(HITS, LABELLED)
    assert found.seeds == pytest.approx((100 * 9 / 14, 100 * 7 / 14))
    assert found.value == pytest.approx(100 * 8 / 14)
    assert found.spread == pytest.approx(np.std(found.seeds, ddof=1))
    assert found.low < found.value < found.high


def test_interval_is_that_of_all_draws():
    """4 persons and 2 seeds can be drawn in 4^4 times 2^2 ways, all equally likely."""
    shares = [
        100 * HITS[np.ix_(seeds, persons)].sum(axis=1).mean() / LABELLED[list(persons)].sum()
        for persons in product(range(4), repeat=4)
        for seeds in product(range(2), repeat=2)
    ]
    low, high = np.quantile(shares, (0.025, 0.975))
    found = Bootstrap(range(4), draws=20_000).estimate(HITS, LABELLED)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1.0)


def test_persons_of_an_image_are_drawn_together():
    """Two images, of three persons and of one: drawn in 2^2 ways."""
    together, alone = [0, 1, 3], [2]
    drawn = [[*together, *together], [*together, *alone], [*alone, *alone]]
    shares = [100 * HITS[0, persons].sum() / LABELLED[persons].sum() for persons in drawn]
    found = Bootstrap([0, 0, 1, 0], draws=500).estimate(HITS[:1], LABELLED)
    assert (found.low, found.high) == pytest.approx((min(shares), max(shares)))
    assert found.value == pytest.approx(shares[1])


def test_each_draw_is_the_plain_computation():
    bootstrap = Bootstrap(range(4), draws=50)
    drawn = []
    for persons, seeds in zip(bootstrap.weights.astype(int), bootstrap.seed_weights(2)):
        assert persons.sum() == 4 and seeds.sum() == 2
        people, runs = np.repeat(range(4), persons), np.repeat(range(2), seeds)
        drawn.append(np.mean([100 * HITS[r, people].sum() / LABELLED[people].sum() for r in runs]))
    found = bootstrap.estimate(HITS, LABELLED)
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, (0.025, 0.975)), rel=1e-5)


def test_paired_differences_see_what_single_shares_cannot():
    """Every fifth person loses a joint: a sure difference of unsure shares."""
    first = np.random.default_rng(0).integers(1, 11, (3, 200))
    lost, labelled, bootstrap = np.arange(200) % 5 == 0, np.full(200, 10), Bootstrap(range(200))
    one, two = (bootstrap.estimate(hits, labelled) for hits in (first, first - lost))
    assert one.low < two.high
    difference = bootstrap.estimate(first - (first - lost), labelled)
    assert difference.value == pytest.approx(2)
    assert 1 < difference.low < 2 < difference.high < 3


def test_no_difference_is_within_the_interval():
    rng = np.random.default_rng(1)
    a, b = rng.binomial(10, 0.5, (2, 3, 300))
    found = Bootstrap(range(300)).estimate(a - b, np.full(300, 10))
    assert found.low < 0 < found.high and found.high - found.low < 8


def test_one_seed_has_no_spread_but_an_interval():
    found = Bootstrap(range(4)).estimate(HITS[:1], LABELLED)
    assert np.isnan(found.spread) and found.low < found.high


def test_a_part_without_labelled_joints_has_no_share():
    found = Bootstrap(range(4)).estimate(np.zeros((2, 4)), np.zeros(4))
    assert np.isnan([found.value, found.low, found.high, *found.seeds]).all()
