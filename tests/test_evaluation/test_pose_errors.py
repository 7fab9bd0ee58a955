"""Kinds of errors: the formulas against a loop over the definitions, and their borders."""

import numpy as np
import pytest

from mspose_plugin.evaluation.pose_errors import (
    GOOD_DISTANCE,
    KINDS,
    Persons,
    classify,
    coco_reach,
)

NAMES = ('nose', 'left_wrist', 'right_wrist', 'left_elbow', 'right_elbow')
PARTNER = [0, 2, 1, 4, 3]


def crowd(rng, images=True, count=40):
    """Return predictions near anything at all, whose they are, and persons who stand close."""
    persons = Persons(
        rng.uniform(0, 60, (count, 5, 2)),
        rng.random((count, 5)) < 0.8,
        rng.uniform(3, 15, (count, 5)),
        NAMES,
        rng.integers(0, 8, count) if images else None,
    )
    own = rng.permutation(count)[: count * 3 // 4]
    return rng.uniform(0, 60, (len(own), 5, 2)), own, persons


def by_definition(pred, own, persons):
    """Classify one keypoint after the other, by similarity."""

    def similarity(place, person, joint):
        if not persons.visible[person, joint]:
            return 0.0
        away = np.linalg.norm(place - persons.keypoints[person, joint])
        return 2 ** -((away / persons.reach[person, joint]) ** 2)

    kinds = np.full(pred.shape[:2], -1)
    taken = np.full(pred.shape[:2], -1)
    for n, k in np.ndindex(*kinds.shape):
        me, place = own[n], pred[n, k]
        if not persons.visible[me, k]:
            continue
        mine = similarity(place, me, k)
        inverted = similarity(place, me, PARTNER[k]) if PARTNER[k] != k else 0.0
        others = [
            similarity(place, q, j)
            for q in range(len(persons.keypoints))
            if persons.images is not None and q != me and persons.images[q] == persons.images[me]
            for j in {k, PARTNER[k]}
        ]
        swapped = max(others, default=0.0)
        if mine >= 0.5:
            kinds[n, k], taken[n, k] = (0 if mine >= 0.85 else 1), k
        elif max(inverted, swapped) >= 0.5:
            kinds[n, k] = 2 if inverted >= swapped else 3
            taken[n, k] = PARTNER[k] if inverted >= swapped else 5
        else:
            near = [similarity(place, me, j) for j in range(5)]
            kinds[n, k], taken[n, k] = 4, int(np.argmax(near)) if max(near) >= 0.5 else 6
    return kinds, taken


@pytest.mark.parametrize('images', [True, False])
def test_against_the_definitions(images):
    seen = set()
    for seed in range(8):
        pred, own, persons = crowd(np.random.default_rng(seed), images)
        errors = classify(pred, own, persons)
        kinds, taken = by_definition(pred, own, persons)
        np.testing.assert_array_equal(errors.kinds, kinds)
        np.testing.assert_array_equal(errors.taken_for, taken)
        seen |= set(kinds.ravel().tolist())
        labelled = persons.visible[own].sum(axis=0)
        np.testing.assert_array_equal(errors.counts().sum(axis=1), labelled)
        np.testing.assert_array_equal(errors.confusion().sum(axis=1), labelled)
    assert seen == set(range(-1, 5)) - (set() if images else {3})


def test_the_borders_belong_to_the_better_kind():
    away = np.array([0, GOOD_DISTANCE, np.nextafter(GOOD_DISTANCE, 1), 1, np.nextafter(1, 2)])
    persons = Persons(np.zeros((5, 1, 2)), np.ones((5, 1), bool), np.ones((5, 1)), ('nose',))
    pred = np.stack([away, np.zeros(5)], axis=1)[:, None]
    errors = classify(pred, np.arange(5), persons)
    assert [KINDS[k] for k in errors.kinds[:, 0]] == ['good', 'good', 'jitter', 'jitter', 'miss']


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_no_prediction_is_a_miss(value):
    persons = Persons(np.zeros((1, 5, 2)), np.ones((1, 5), bool), np.ones((1, 5)), NAMES)
    errors = classify(np.full((1, 5, 2), value), np.array([0]), persons)
    assert (errors.kinds == KINDS.index('miss')).all() and (errors.taken_for == 6).all()


def test_similarity_is_a_half_at_cocos_reach():
    area, sigmas = np.array([900.0, 4e4]), np.array([0.025, 0.107])
    reach = coco_reach(area, sigmas)
    # COCO: exp(-d^2 / (2 s^2 k^2)) with s^2 the area and k = 2 sigma
    np.testing.assert_allclose(np.exp(-(reach**2) / (2 * area[:, None] * (2 * sigmas) ** 2)), 0.5)
