"""The PCK kernel against brute force, exact cases and its own invariants."""

import warnings

import numpy as np
import pytest

from mspose_plugin.evaluation import flic_pck, pck, pckh
from mspose_plugin.utils.errors import InputError


@pytest.fixture
def people():
    """Return predictions, ground truth, head sizes and visibility of 60 MPII persons."""
    rng = np.random.default_rng(0)
    gt = rng.uniform(0, 500, (60, 16, 2))
    pred = gt + rng.normal(0, 15, gt.shape)
    return pred, gt, rng.uniform(20, 80, 60), rng.random((60, 16)) < 0.8


def brute_force(pred, gt, norm, visible, thr):
    """Return hits and labelled joints with plain loops."""
    hits, labelled = np.zeros(16, dtype=int), np.zeros(16, dtype=int)
    for i in range(len(gt)):
        for k in range(16):
            if visible[i, k]:
                labelled[k] += 1
                hits[k] += np.hypot(*(pred[i, k] - gt[i, k])) / norm[i] <= thr
    return hits, labelled


@pytest.mark.parametrize('thr', [0.0, 0.01, 0.1, 0.37, 0.5])
def test_curve_equals_brute_force(people, thr):
    pred, gt, norm, visible = people
    curve = pck.pck_curve(
        pck.normalized_distances(pred, gt, visible, norm), pck.threshold_grid(0.5)
    )
    hits, labelled = brute_force(*people, thr)
    assert (curve.labelled == labelled).all()
    assert (curve.hits[curve.index(thr)] == hits).all()


def test_table_and_area_equal_brute_force(people):
    table = pckh(*people)
    scored = [k for k in range(16) if k not in (6, 7)]
    points = []
    for thr in np.arange(51) / 100:
        hits, labelled = brute_force(*people, thr)
        points.append(100 * hits[scored].sum() / labelled[scored].sum())
    percent = 100 * hits / labelled
    assert table['PCKh'] == pytest.approx(points[50])
    assert table['PCKh@0.1'] == pytest.approx(points[10])
    assert table['PCKh-mean'] == pytest.approx(percent[scored].mean())
    assert table['Head'] == pytest.approx(percent[9])
    assert table['Wrist'] == pytest.approx((percent[10] + percent[15]) / 2)
    area = sum((a + b) / 2 * 0.01 for a, b in zip(points, points[1:], strict=False))
    assert table['AUC'] == pytest.approx(area / 0.5)


def test_perfect_and_hopeless():
    gt = np.random.default_rng(0).uniform(0, 99, (3, 16, 2))
    perfect = pckh(gt, gt, np.ones(3), np.ones((3, 16)))
    hopeless = pckh(gt + 1e6, gt, np.ones(3), np.ones((3, 16)))
    assert set(perfect.values()) == {100.0} and set(hopeless.values()) == {0.0}


def test_distance_equal_to_the_threshold_is_correct():
    gt = np.zeros((2, 16, 2))
    pred = gt + [[[3.0, 4.0]], [[3.0, 4.01]]]  # 0.5 and a little more of a head of 10 px
    table = pckh(pred, gt, np.full(2, 10.0), np.ones((2, 16)))
    assert table['PCKh'] == 50.0


def test_invariance_to_shift_and_scale(people):
    pred, gt, norm, visible = people
    want = pckh(pred, gt, norm, visible)
    assert pckh(pred + 7, gt + 7, norm, visible) == pytest.approx(want)
    assert pckh(pred * 2, gt * 2, norm * 2, visible) == pytest.approx(want)


def test_threshold_off_the_grid_leaves_the_area_alone(people):
    pred, gt, norm, visible = people
    want, other = pckh(*people), pckh(pred, gt, norm, visible, thr=0.123)
    assert other['AUC'] == want['AUC'] and other['PCKh@0.1'] == want['PCKh@0.1']
    hits, labelled = brute_force(pred, gt, norm, visible, 0.123)
    assert other['Head'] == pytest.approx(100 * hits[9] / labelled[9])


def test_joint_never_labelled_is_left_out_without_warnings(people):
    pred, gt, norm, visible = people
    visible = visible.copy()
    visible[:, [9, 10]] = False  # head, right wrist
    gt = gt.copy()
    gt[:, 9] = np.nan  # an unlabelled joint may have no position
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        table = pckh(pred, gt, norm, visible)
        nothing = pckh(pred, gt, norm, np.zeros_like(visible))
    hits, labelled = brute_force(pred, gt, norm, visible, 0.5)
    assert np.isnan(table['Head'])
    assert table['Wrist'] == pytest.approx(100 * hits[15] / labelled[15])
    assert all(np.isfinite(v) for k, v in table.items() if k != 'Head')
    assert all(np.isnan(v) for v in nothing.values())


def test_non_finite_prediction_is_a_miss(people):
    pred, gt, norm, visible = people
    pred = pred.copy()
    pred[:, 9] = np.nan
    pred[:, 0] = np.inf
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        table = pckh(pred, gt, norm, visible)
    assert table['Head'] == 0.0


@pytest.mark.parametrize(
    'change, message',
    [
        (
            dict(
                gt=np.zeros((0, 16, 2)),
                pred=np.zeros((0, 16, 2)),
                head_size=np.zeros(0),
                visible=np.zeros((0, 16)),
            ),
            'no person',
        ),
        (
            dict(pred=np.zeros((2, 15, 2)), gt=np.zeros((2, 15, 2)), visible=np.ones((2, 15))),
            '16 joints',
        ),
        (dict(pred=np.zeros((2, 17, 2))), 'pred .*, gt .*: expected'),
        (dict(visible=np.ones((2, 17))), 'visible .*: expected'),
        (dict(head_size=np.array([1.0, 0.0])), 'number 1 with 0.0'),
        (dict(head_size=np.array([np.nan, 1.0])), 'number 0'),
        (dict(gt=np.full((2, 16, 2), np.nan)), 'no finite position'),
    ],
)
def test_bad_input(change, message):
    good = dict(
        pred=np.zeros((2, 16, 2)),
        gt=np.zeros((2, 16, 2)),
        head_size=np.ones(2),
        visible=np.ones((2, 16)),
    )
    with pytest.raises(InputError, match=message):
        pckh(**{**good, **change})


def test_flic_shift_by_known_fractions_of_the_torso():
    """Persons moved by 0.045, 0.095, 0.145 and 0.25 torso lengths: 75 % within 0.2."""
    rng = np.random.default_rng(1)
    gt = rng.uniform(0, 400, (4, 11, 2))
    torso = np.linalg.norm(gt[:, 0] - gt[:, 7], axis=-1)
    step = torso * [0.045, 0.095, 0.145, 0.25]
    pred = gt + step[:, None, None] * [0.6, -0.8]
    table = flic_pck(pred, gt, np.ones((4, 11)))
    assert table['Elbow'] == table['Wrist'] == table['PCK'] == 75.0
    assert flic_pck(pred, gt, np.ones((4, 11)), thr=0.12)['PCK'] == 50.0
    # the curve steps from 0 to 25, 50, 75 at thresholds 0.05, 0.1 and 0.15
    want = (25 * 0.155 + 25 * 0.105 + 25 * 0.055) / 0.2
    assert table['AUC'] == table['AUC-Elbow'] == pytest.approx(want)


def test_flic_pairs_are_left_right_means():
    gt = np.random.default_rng(1).uniform(0, 400, (1, 11, 2))
    pred = gt.copy()
    pred[:, [1, 6, 8]] += 1000  # left elbow, left hip, left eye
    table = flic_pck(pred, gt, np.ones((1, 11)))
    assert [table[k] for k in ('Shoulder', 'Elbow', 'Wrist', 'Hip', 'Eye', 'Nose')] == [
        100,
        50,
        100,
        50,
        50,
        100,
    ]
    assert table['PCK'] == pytest.approx(100 * 8 / 11)
