"""Keypoint masking: what it pastes, from where, onto what, and what it leaves alone.

Images encode each pixel's own place, so that every changed pixel tells where it came from.
"""

import copy
import doctest
import inspect
import re

import cv2
import numpy as np
import pytest
from mmcv.transforms import Compose
from mmcv.transforms.utils import cache_random_params
from mmpose.registry import TRANSFORMS

import mspose_plugin  # noqa: F401
from mspose_plugin.datasets.transforms import KeypointMasking, keypoint_masking
from mspose_plugin.datasets.transforms.person_area import PersonArea
from mspose_plugin.utils.errors import InputError

SETS = dict(mpii=16, coco=17, flic=11)
OCCLUDE = dict(occlusion_prob=1.0, duplicate_prob=0.0)
DUPLICATE = dict(occlusion_prob=0.0, duplicate_prob=1.0)
BOTH = dict(occlusion_prob=1.0, duplicate_prob=1.0)


def coded(height=256, width=256):
    """Return an image whose channels are x, y and 0."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, np.zeros_like(x)], -1).astype(np.uint8)


def sample(rng, num_keypoints=16, height=256, width=256, low=0.3, high=0.7, labelled=0.8):
    """Return read-only results of TopdownAffine for a random person."""
    points = rng.uniform(low, high, (1, num_keypoints, 2)) * (width, height)
    visible = (rng.random((1, num_keypoints)) < labelled).astype(np.float32)
    visible[0, rng.integers(num_keypoints)] = 1
    return freeze(
        dict(
            img=coded(height, width),
            transformed_keypoints=points.astype(np.float32),
            keypoints=points * 3,
            keypoints_visible=visible,
            keypoints_visible_weights=np.ones_like(visible),
        )
    )


def freeze(results):
    """Make all arrays read-only."""
    for value in results.values():
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
    return results


def labelled_pixels(results):
    """Return the labelled keypoints as whole pixels (x, y)."""
    points = results['transformed_keypoints'][0][results['keypoints_visible'][0] > 0]
    return np.rint(points).astype(int)


def moves(before, after):
    """Return what was pasted, {(dx, dy): (target, source)}, both pixels [N, 2] (x, y)."""
    y, x = np.nonzero((before != after).any(-1))
    target, source = np.stack([x, y], 1), after[y, x, :2].astype(int)
    groups = {}
    for shift in np.unique(target - source, axis=0):
        mine = ((target - source) == shift).all(1)
        groups[tuple(shift)] = target[mine], source[mine]
    return groups


def distance_to_limbs(pixels, points):
    """Return the distance [N] of pixels to the nearest segment between any two keypoints."""
    i, j = np.triu_indices(len(points))
    start, along = points[i], points[j] - points[i]
    offset = pixels[:, None] - start
    t = (offset * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-9)
    return np.linalg.norm(offset - t.clip(0, 1)[..., None] * along, axis=-1).min(1)


def whole(pixels):
    """Say whether pixels fill a rectangle: a patch of which nothing is missing."""
    return len(pixels) == np.prod(np.ptp(pixels, axis=0) + 1)


def has(pixels, points):
    """Say which of the points are among the pixels."""
    return (pixels[:, None] == points).all(-1).any(0)


@pytest.mark.parametrize('num_keypoints', SETS.values(), ids=SETS)
@pytest.mark.parametrize('height,width', [(256, 256), (256, 192), (96, 160)])
@pytest.mark.parametrize('most', [1, 3])
def test_occlusions_cover_keypoints_with_background(num_keypoints, height, width, most):
    rng = np.random.default_rng(0)
    step = KeypointMasking(**OCCLUDE, num_keypoints=(1, most), patch_size=(0.1, 0.3), margin=0.05)
    for _ in range(30):
        results = sample(rng, num_keypoints, height, width)
        points = labelled_pixels(results)
        size = max(np.ptp(points, axis=0).max(), min(height, width) / 4)
        found = moves(results['img'], step(dict(results))['img'])
        assert 1 <= len(found) <= most
        covered = np.concatenate([target for target, _ in found.values()])
        assert has(covered, points).any()
        for target, source in found.values():
            # with several patches, one may lie partly under another
            assert most > 1 or (whole(target) and has(target, points).any())
            assert (np.ptp(target, axis=0) + 1 <= round(0.3 * size)).all()
            assert distance_to_limbs(source[::7], points).min() > 0.05 * size


@pytest.mark.parametrize('num_keypoints', SETS.values(), ids=SETS)
@pytest.mark.parametrize('height,width', [(256, 256), (256, 192), (96, 160)])
@pytest.mark.parametrize('margin', [0.0, 0.1])
def test_duplicates_copy_keypoints_onto_background(num_keypoints, height, width, margin):
    rng = np.random.default_rng(1)
    step = KeypointMasking(**DUPLICATE, num_keypoints=(1, 3), margin=margin, on_other_prob=0.0)
    for _ in range(30):
        results = sample(rng, num_keypoints, height, width)
        points = labelled_pixels(results)
        size = max(np.ptp(points, axis=0).max(), min(height, width) / 4)
        found = moves(results['img'], step(dict(results))['img'])
        assert 1 <= len(found) <= 3
        for (dx, dy), (target, source) in found.items():
            assert not has(target, points).any()
            assert distance_to_limbs(target[::7], points).min() > margin * size
            assert max(abs(dx), abs(dy)) <= 0.5 * size + 0.2 * size
            assert whole(source) and has(source, points).any()


def test_a_duplicate_may_go_onto_another_keypoint():
    """The caption of Fig. 5 (d): the copy of one keypoint covers the other one, and only that."""
    results = freeze(
        dict(
            img=coded(),
            transformed_keypoints=np.array([[[128.0, 60], [128, 200]]]),
            keypoints_visible=np.ones((1, 2)),
        )
    )
    points = labelled_pixels(results)
    for prob, covers in ((0.0, 0), (1.0, 1)):
        step = KeypointMasking(**DUPLICATE, num_keypoints=(1, 1), on_other_prob=prob)
        for _ in range(20):
            ((target, source),) = moves(results['img'], step(dict(results))['img']).values()
            assert has(target, points).sum() == covers and has(source, points).sum() == 1
            assert not (has(target, points) & has(source, points)).any()


def test_a_duplicate_on_another_keypoint_covers_no_third():
    points = np.array([[[128.0, 60], [128, 200], [131, 203]]])
    results = freeze(
        dict(img=coded(), transformed_keypoints=points, keypoints_visible=np.ones((1, 3)))
    )
    step = KeypointMasking(**DUPLICATE, num_keypoints=(1, 1), on_other_prob=1.0)
    for _ in range(30):
        ((target, _),) = moves(results['img'], step(dict(results))['img']).values()
        assert has(target, labelled_pixels(results)).sum() <= 1


@pytest.mark.parametrize('num_keypoints', SETS.values(), ids=SETS)
def test_every_duplicate_covers_one_other_keypoint_or_none(num_keypoints):
    rng = np.random.default_rng(7)
    step = KeypointMasking(**DUPLICATE, num_keypoints=(1, 3))
    counts = []
    for _ in range(60):
        results = sample(rng, num_keypoints, 256, 256)
        points = labelled_pixels(results)
        for target, _ in moves(results['img'], step(dict(results))['img']).values():
            counts.append(int(has(target, np.unique(points, axis=0)).sum()))
    assert set(counts) == {0, 1}


def test_a_keypoint_is_not_occluded_and_duplicated():
    """Else a true-looking copy would stand beside the place that the target names."""
    step = KeypointMasking(**BOTH, num_keypoints=(1, 1))
    for keypoints in ([[128.0, 60]], [[128.0, 60], [128, 200]]):
        results = freeze(
            dict(
                img=coded(),
                transformed_keypoints=np.array([keypoints]),
                keypoints_visible=np.ones((1, len(keypoints))),
            )
        )
        points = labelled_pixels(results)
        for _ in range(20):
            found = moves(results['img'], step(dict(results))['img'])
            assert len(found) == len(points)
            (covered,) = (target for target, _ in found.values() if has(target, points).any())
            copied = [source for target, source in found.values() if not has(target, points).any()]
            assert all(has(source, points[~has(covered, points)]).any() for source in copied)


def test_no_copy_shows_an_occluded_keypoint():
    """Not even the copy of a neighbour's larger patch."""
    rng = np.random.default_rng(2)
    step = KeypointMasking(**BOTH, num_keypoints=(1, 3), patch_size=(0.05, 0.4))
    for _ in range(60):
        results = sample(rng)
        out = step(dict(results))['img']
        x, y = labelled_pixels(results).T
        for code in results['img'][y, x][(out[y, x] != results['img'][y, x]).any(1)]:
            assert not (out == code).all(-1).any()


@pytest.mark.parametrize('probs', [OCCLUDE, DUPLICATE, BOTH], ids=['occlude', 'duplicate', 'both'])
def test_nothing_but_the_image_changes(probs):
    rng = np.random.default_rng(3)
    results = sample(rng)
    kept = copy.deepcopy(results)
    out = KeypointMasking(**probs)(dict(results))  # arrays are read-only: writing would raise
    assert out['img'] is not results['img'] and not np.array_equal(out['img'], results['img'])
    assert out['img'].dtype == np.uint8 and out['img'].shape == results['img'].shape
    for key, value in kept.items():
        np.testing.assert_array_equal(results[key], value)
        assert key == 'img' or out[key] is results[key]
    assert out.keys() == results.keys()


def test_probabilities():
    rng = np.random.default_rng(4)
    for prob, low, high in ((0.0, 0, 0), (0.3, 70, 110), (1.0, 300, 300)):
        for kind in ('occlusion_prob', 'duplicate_prob'):
            step = KeypointMasking(**{**dict(occlusion_prob=0.0, duplicate_prob=0.0), kind: prob})
            acted = 0
            for _ in range(300):
                results = sample(rng, height=64, width=64)
                acted += step(dict(results))['img'] is not results['img']
            assert low <= acted <= high


def test_same_seed_same_image():
    results = sample(np.random.default_rng(5))
    step, other = KeypointMasking(**BOTH), KeypointMasking(**BOTH)
    images = []
    for seed, masking in ((7, step), (7, other), (8, step)):
        np.random.seed(seed)
        images.append([masking(dict(results))['img'] for _ in range(3)])
    np.testing.assert_array_equal(images[0], images[1])
    assert not np.array_equal(images[0], images[2])
    assert not np.array_equal(images[0][0], images[0][1])
    with cache_random_params(step):  # as mmcv's ApplyToMultiple does
        first, second = step(dict(results))['img'], step(dict(results))['img']
    np.testing.assert_array_equal(first, second)


def test_randomness_drawn_does_not_depend_on_the_image():
    """So that masking one image does not change the augmentation of the next."""
    rng = np.random.default_rng(6)
    after = []
    for results in (sample(rng), sample(rng, labelled=0), sample(rng, low=1.1, high=2.0)):
        np.random.seed(0)
        KeypointMasking()(dict(results))
        after.append(np.random.rand())
    assert len(set(after)) == 1


@pytest.mark.parametrize('side', [3, 10, 31])
def test_background_is_found_exactly(side):
    """All places outside the hull and the gap are found: with probability 1, room is used."""
    rng = np.random.default_rng(side)
    for _ in range(5):
        results = sample(rng, 5, 90, 120, 0.2, 0.8)
        person = PersonArea.of(results)
        hull = cv2.convexHull(
            np.rint(
                results['transformed_keypoints'][0][results['keypoints_visible'][0] > 0]
            ).astype(np.int32)
        )
        inside = np.array(
            [
                [cv2.pointPolygonTest(hull, (x, y), False) >= 0 for x in range(120)]
                for y in range(90)
            ],
            np.uint8,
        )
        free = person.background(side, 0.1)
        gap = int(np.ceil(0.1 * person.size)) + 1
        for grow, at_least in ((gap - 1, False), (gap + 1, True)):
            person_map = cv2.dilate(inside, np.ones((2 * grow + 1, 2 * grow + 1), np.uint8))
            places = np.lib.stride_tricks.sliding_window_view(person_map, (side, side))
            reference = ~places.any((2, 3))
            assert free[reference].all() if at_least else reference[free].all()


def test_no_room_leaves_the_image_alone():
    corners = np.array([[[2.0, 2], [253, 2], [253, 253], [2, 253]]])
    results = freeze(
        dict(img=coded(), transformed_keypoints=corners, keypoints_visible=np.ones((1, 4)))
    )
    step = KeypointMasking(**BOTH, on_other_prob=0.0)
    assert step(dict(results))['img'] is results['img']


def points_of(kind, rng, height, width):
    """Return keypoints [1, K, 2] of an awkward kind."""
    points = rng.uniform(-0.3, 1.3, (1, 12, 2)) * (width, height)
    if kind == 'far':
        points[0, ::2] *= 1e6
    elif kind == 'not finite':
        points[0, ::3], points[0, 1] = np.nan, np.inf
    elif kind == 'one place':
        points[:] = points[:, :1].clip(0, (width - 1, height - 1))
    elif kind == 'line':
        points[..., 0] = width // 2
    elif kind == 'corners':
        points = np.array([[[0, 0], [width - 1, height - 1]]], float)
    return points


@pytest.mark.parametrize('kind', ['any', 'far', 'not finite', 'one place', 'line', 'corners'])
@pytest.mark.parametrize(
    'shape',
    [(256, 192, 3), (64, 64), (40, 60, 1), (17, 200, 3), (4, 4, 3), (1, 1, 3), (2, 50, 3)],
    ids=str,
)
def test_never_fails(kind, shape):
    rng = np.random.default_rng(9)
    height, width = shape[:2]
    for i in range(25):
        img = rng.integers(0, 256, shape).astype(np.float32 if i % 5 == 0 else np.uint8)
        points = points_of(kind, rng, height, width)
        visible = (rng.random(points.shape[:2]) < rng.random()).astype(np.float32)
        if i % 2:  # visibility and weight, as MMPose's KeypointConverter leaves it
            visible = np.stack([visible, np.ones_like(visible)], -1)
        results = freeze(dict(img=img, transformed_keypoints=points, keypoints_visible=visible))
        low, high = np.sort(rng.uniform(0.01, 1, 2))
        step = KeypointMasking(
            **BOTH,
            num_keypoints=(1, 30),
            patch_size=(low, high),
            margin=rng.choice([0, 0.1, 10]),
            reach=rng.choice([0, 0.5, 10]),
        )
        out = step(dict(results))['img']
        assert out.shape == shape and out.dtype == img.dtype
        if not (visible if visible.ndim == 2 else visible[..., 0]).any():
            assert out is img


def test_no_labelled_keypoint_or_none_inside():
    rng = np.random.default_rng(10)
    nobody, outside = sample(rng), sample(rng, low=1.1, high=1.5)
    nobody['keypoints_visible'] = np.zeros((1, 16))
    unknown = dict(
        img=coded(),
        transformed_keypoints=np.zeros([]),  # TopdownAffine, no keypoints
        keypoints_visible=np.ones((1, 1, 1)),
    )
    for results in (nobody, outside, unknown):
        assert KeypointMasking(**BOTH)(dict(results))['img'] is results['img']


def annotated(rng, num_keypoints, height=200, width=300):
    """Return a dataset's sample: a person at the edge of an image without black pixels."""
    half = num_keypoints // 2
    flip = [*range(half, 2 * half), *range(half), *range(2 * half, num_keypoints)]
    points = rng.uniform((0, 60), (80, 140), (1, num_keypoints, 2)).astype(np.float32)
    return dict(
        img=rng.integers(50, 256, (height, width, 3), np.uint8),
        img_path=None,
        img_id=1,
        id=1,
        keypoints=points,
        keypoints_visible=np.ones((1, num_keypoints), np.float32),
        bbox=np.array([[0.0, 50, 100, 150]], np.float32),
        bbox_score=np.ones(1),
        flip_indices=flip,
    )


@pytest.mark.parametrize('num_keypoints', SETS.values(), ids=SETS)
def test_in_a_pipeline_targets_stay_and_patches_show_the_image(num_keypoints):
    codec = dict(type='MSRAHeatmap', input_size=(256, 256), heatmap_size=(64, 64), sigma=1)
    before = [
        dict(type='LoadImageChecked'),
        dict(type='GetBBoxCenterScale', padding=1.25),
        dict(type='RandomFlip', direction='horizontal'),
        dict(
            type='RandomBBoxTransform',
            shift_prob=0.0,
            rotate_factor=60.0,
            rotate_prob=1.0,
            scale_factor=(1.5, 2.5),
            scale_prob=1.0,
        ),
        dict(type='TopdownAffine', input_size=(256, 256)),
    ]
    after = [dict(type='GenerateTarget', encoder=codec), dict(type='PackPoseInputs')]
    masking = dict(type='KeypointMasking', **BOTH)
    plain, masked = (
        Compose([TRANSFORMS.build(step) for step in steps])
        for steps in (before + after, [*before, masking, *after])
    )
    rng = np.random.default_rng(11)
    for seed in range(8):
        data = annotated(rng, num_keypoints)
        np.random.seed(seed)
        a = plain(copy.deepcopy(data))
        np.random.seed(seed)
        b = masked(copy.deepcopy(data))
        x, y = a['inputs'].numpy(), b['inputs'].numpy()
        changed = (x != y).any(0)
        assert (x == 0).all(0).any(), 'the crop reaches beyond the image'
        assert changed.any() and y[:, changed].min() >= 45, 'no black from beyond it'
        a, b = a['data_samples'], b['data_samples']
        np.testing.assert_array_equal(a.gt_fields.heatmaps, b.gt_fields.heatmaps)
        np.testing.assert_array_equal(
            a.gt_instance_labels.keypoint_weights, b.gt_instance_labels.keypoint_weights
        )
        for key in a.gt_instances.keys():  # noqa: SIM118
            np.testing.assert_array_equal(a.gt_instances[key], b.gt_instances[key])


@pytest.mark.parametrize(
    'args',
    [
        dict(occlusion_prob=1.1),
        dict(duplicate_prob=-0.1),
        dict(on_other_prob=float('nan')),
        dict(occlusion_prob='often'),
        dict(duplicate_prob=True),
        dict(num_keypoints=2),
        dict(num_keypoints=(0, 1)),
        dict(num_keypoints=(2, 1)),
        dict(num_keypoints=(1, 2.5)),
        dict(patch_size=(0.0, 0.1)),
        dict(patch_size=(0.2, 0.1)),
        dict(patch_size=(0.1, 1.5)),
        dict(patch_size=(0.1, 0.2, 0.3)),
        dict(margin=-1),
        dict(margin=None),
        dict(reach=float('inf')),
    ],
    ids=str,
)
def test_bad_arguments(args):
    with pytest.raises(InputError, match=f'KeypointMasking: {next(iter(args))}=.*: expected'):
        KeypointMasking(**args)


@pytest.mark.parametrize('results', [dict(img=coded()), dict(img=[coded()])])
def test_wrong_place_in_the_pipeline(results):
    with pytest.raises(InputError, match='after TopdownAffine'):
        KeypointMasking(**BOTH)(results)


def test_documentation():
    step = KeypointMasking(patch_size=[0.1, 0.3])
    assert eval(repr(step)).patch_size == step.patch_size == (0.1, 0.3)
    documented = re.findall(
        r'^ {8}(\w+): .*?Default: (.*?)\.$', KeypointMasking.__doc__, re.MULTILINE | re.DOTALL
    )
    parameters = inspect.signature(KeypointMasking).parameters
    assert documented == [(name, str(p.default)) for name, p in parameters.items()]
    assert doctest.testmod(keypoint_masking).failed == 0
