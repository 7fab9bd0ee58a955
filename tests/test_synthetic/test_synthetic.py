"""Synthetic people: true to themselves, deterministic, and read by the real sets' own readers."""

import hashlib
import json
import os
import signal
import time
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny_run
from scipy.io import loadmat

import mspose_command
import mspose_plugin  # noqa: F401  (makes MMPose importable)
from mspose_plugin.datasets.flic import FlicDataset
from mspose_plugin.evaluation.mpii_submission import read_release
from mspose_plugin.synthetic import (
    DIFFICULTIES,
    FRAMINGS,
    KEYPOINTS,
    Difficulty,
    Recipe,
    render_scene,
    write_dataset,
)
from mspose_plugin.synthetic.annotation_writers import head_box
from mspose_plugin.synthetic.body import INDEX, pose_body, sample_shape
from mspose_plugin.synthetic.dataset import _run, make_image
from mspose_plugin.synthetic.detector import detect
from mspose_plugin.synthetic.pose import sample_pose
from mspose_plugin.synthetic.scene import OCCLUDER
from mspose_plugin.synthetic.settings import EFFECTS
from mspose_plugin.utils.errors import InputError

COUNTS = {'train': 5, 'val': 24}


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """One small data set in every layout."""
    folder = tmp_path_factory.mktemp('synthetic')
    for layout in FRAMINGS:
        write_dataset(Recipe(layout, **COUNTS), folder / layout)
    return folder


@pytest.fixture(scope='module')
def scenes():
    return [render_scene(np.random.default_rng(i)) for i in range(40)]


def digests(folder):
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob('*'))
        if p.is_file()
    }


# ---------------------------------------------------------------- the figures


def test_left_is_at_the_right_of_the_image_when_facing_the_camera():
    rng = np.random.default_rng(0)
    for heading, sign in ((0.0, 1.0), (180.0, -1.0)):
        body = pose_body(sample_shape(rng), sample_pose(rng, heading, tilt=0.0))
        for joint in ('shoulder', 'hip', 'eye', 'ear'):
            left, right = (body.points[INDEX[f'{s}_{joint}']] for s in ('left', 'right'))
            assert sign * (left[0] - right[0]) > 0, joint
        assert sign * (body.points[INDEX['nose'], 2] - body.head_centre[2]) > 0


@pytest.mark.parametrize('heading, seen', [(0.0, True), (180.0, False)])
def test_the_face_is_seen_from_the_front_only(heading, seen):
    clear = Difficulty(neighbour=0.0, occluder=0.0, side_on=0.0, tilt=0.0, tumble=0.0)
    facing = type(FRAMINGS['mpii'])(size=(256, 256), facing=float(heading == 0.0))
    face = [KEYPOINTS.index(n) for n in ('nose', 'left_eye', 'right_eye')]
    people = [render_scene(np.random.default_rng(i), facing, clear).people[0] for i in range(30)]
    rate = np.mean([p.visible[face] for p in people])
    assert rate > 0.7 if seen else rate < 0.05


def test_bones_keep_their_length():
    rng = np.random.default_rng(1)
    for _ in range(20):
        shape = sample_shape(rng)
        points = pose_body(shape, sample_pose(rng, rng.uniform(0, 360))).points
        for a, b, name in (('elbow', 'wrist', 'forearm'), ('knee', 'ankle', 'shin')):
            for side in ('left', 'right'):
                bone = points[INDEX[f'{side}_{a}']] - points[INDEX[f'{side}_{b}']]
                assert np.linalg.norm(bone) == pytest.approx(getattr(shape, name))
        head = points[INDEX['head_top']] - points[INDEX['neck']]
        assert np.linalg.norm(head) == pytest.approx(shape.head)


def test_joints_lie_on_the_silhouette():
    alone = Difficulty(neighbour=0.0, occluder=0.0)
    on, total = 0, 0
    for i in range(40):
        scene = render_scene(np.random.default_rng(i), difficulty=alone)
        person = scene.people[0]
        x, y = np.rint(person.keypoints[person.inside]).astype(int).T
        assert len(scene.people) == 1
        on += scene.silhouette(person)[y, x].sum()
        total += len(x)
    assert on / total > 0.99


def test_photographs_differ_and_the_truth_does_not():
    near = replace(DIFFICULTIES['photographic'], neighbour=0.0, occluder=0.0, distance=(2.2, 2.2))
    on, total, changes = 0, 0, []
    for i in range(30):
        drawn, taken = (
            render_scene(np.random.default_rng(i), difficulty=replace(near, photograph=strength))
            for strength in (0.0, 1.0)
        )
        assert np.array_equal(drawn.ids, taken.ids)
        person, again = drawn.people[0], taken.people[0]
        assert np.array_equal(person.keypoints, again.keypoints)
        changes.append(np.abs(drawn.image.astype(int) - taken.image).mean())
        x, y = np.rint(person.keypoints[person.inside]).astype(int).T
        on += drawn.silhouette(person)[y, x].sum()
        total += len(x)
    assert min(changes) > 3 and on / total > 0.98


def test_every_effect_can_be_left_out():
    difficulty = replace(DIFFICULTIES['photographic'], noise=0.0)

    def draw(**changes):
        return render_scene(np.random.default_rng(3), difficulty=difficulty.changed(changes)).image

    every, drawing = draw(), draw(photograph=0)
    assert np.array_equal(draw(without=list(EFFECTS)), drawing)
    for effect in ('texture', 'relief', 'light', 'tones'):  # the others come by chance
        assert not np.array_equal(draw(without=[effect]), every)
        others = [e for e in EFFECTS if e != effect]
        assert not np.array_equal(draw(without=others), drawing)


def test_changes_are_kept_with_the_data_set(tmp_path):
    changes = dict(occluder=0, distance=[3, 6], without=['lens'])
    recipe = Recipe('mpii', 1, 1, difficulty='photographic', size=(64, 64), changes=changes)
    assert recipe.settings.distance == (3, 6) and recipe.settings.without == ('lens',)
    assert DIFFICULTIES['normal'].changed(dict(without='lens')).without == ('lens',)
    assert recipe.settings.neighbour == DIFFICULTIES['photographic'].neighbour
    tool(
        '--layout', 'mpii', '--out', tmp_path / 'a', '--train', 1, '--val', 1, '--size', 64,
        '--difficulty', 'photographic', '--change', 'occluder=0', 'distance=3,6', 'without=lens,',
    )  # fmt: skip
    assert json.loads((tmp_path / 'a/synthetic.json').read_text())['changes'] == changes
    write_dataset(recipe, tmp_path / 'b', workers=1)
    for name in ('annotations/mpii_train.json', 'images/000000001.jpg'):
        assert (tmp_path / 'a' / name).read_bytes() == (tmp_path / 'b' / name).read_bytes()


def test_outlines_are_drawn_as_strongly_as_asked():
    def brightness(strength):
        outlined = replace(DIFFICULTIES['easy'], outline=(strength, strength), noise=0.0)
        scenes = [render_scene(np.random.default_rng(i), difficulty=outlined) for i in range(8)]
        return np.mean([s.image[s.silhouette(s.people[0])].mean() for s in scenes])

    assert brightness(0.0) > brightness(0.5) > brightness(1.0)


def test_visible_joints_show_their_own_person(scenes):
    seen = 0
    for scene in scenes:
        for person in scene.people:
            assert not (person.visible & ~person.inside).any()
            x, y = np.rint(person.keypoints[person.visible]).astype(int).T
            assert scene.silhouette(person)[y, x].all()
            covered = np.isin(np.arange(len(KEYPOINTS)), np.flatnonzero(person.inside))
            x, y = np.rint(person.keypoints[covered]).astype(int).T
            hidden = ~scene.silhouette(person)[y, x]
            assert not (person.visible[covered] & hidden).any()
            seen += person.visible.sum()
    assert seen > 0.5 * sum(p.inside.sum() for s in scenes for p in s.people)


def test_difficulty_is_measurable():
    def measure(name):
        made = [
            render_scene(np.random.default_rng(i), difficulty=DIFFICULTIES[name]) for i in range(60)
        ]
        first = [s.people[0] for s in made]
        hidden = 1.0 - np.mean([p.visible.sum() / max(p.inside.sum(), 1) for p in first])
        return hidden, np.mean([(s.ids == OCCLUDER).any() for s in made]), made

    easy, normal, hard = (measure(name) for name in ('easy', 'normal', 'hard'))
    assert easy[0] < normal[0] < hard[0]
    assert easy[1] == 0.0 < 0.15 < normal[1] < 0.45 < hard[1]
    crowds = [np.mean([len(s.people) > 1 for s in m[2]]) for m in (easy, normal, hard)]
    assert crowds[0] == 0.0 and 0.15 < crowds[1] < 0.45 < crowds[2]


def test_render_scene_refuses_tiny_images():
    with pytest.raises(ValueError, match='at least 32'):
        render_scene(np.random.default_rng(0), size=(16, 64))


def test_head_box_holds_the_head_and_has_mpiis_diagonal():
    for angle in np.deg2rad(np.arange(0, 360, 7)):
        neck = np.array([100.0, 100.0])
        top = neck + 40.0 * np.array([np.sin(angle), -np.cos(angle)])
        (x1, y1), (x2, y2) = head_box(top, neck, 40.0)
        for x, y in (top, neck):
            assert x1 < x < x2 and y1 < y < y2
        assert np.hypot(x2 - x1, y2 - y1) == pytest.approx(50.0, rel=0.03)


def test_detections_are_imperfect():
    rng = np.random.default_rng(0)
    boxes = np.array([[40.0, 30.0, 60.0, 150.0]])
    runs = [detect(rng, boxes, (320, 240)) for _ in range(200)]
    assert all(0 <= d['score'] <= 1 for run in runs for d in run)
    assert any(all(d['score'] < 0.6 for d in run) for run in runs)  # misses
    assert max(len(run) for run in runs) > 2  # duplicates and false alarms
    best = [r[0]['bbox'] for r in runs if r and r[0]['score'] > 0.6]
    assert len(best) > 180
    assert np.median(np.abs(np.array(best) - boxes).max(axis=1)) < 15


# ---------------------------------------------------------------- the files


def _die(task):
    os._exit(3)


def _blurred(task):
    return cv2.GaussianBlur(np.full((600, 600, 3), task, np.uint8), (0, 0), 3)[0, 0, 0]


def test_processes_start_after_opencv_has_used_threads():
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        _blurred(1)  # starts OpenCV's threads, which a forked process has not got
        time.sleep(0.3)  # until they sleep
        assert list(_run(_blurred, [1, 2, 3], workers=2)) == [1, 2, 3]
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)


def test_a_killed_process_is_an_error():
    with pytest.raises(BrokenProcessPool):
        list(_run(_die, [1, 2, 3], workers=2))


def test_same_arguments_same_bytes_for_any_number_of_workers(tmp_path, root):
    for layout in FRAMINGS:
        write_dataset(Recipe(layout, **COUNTS), tmp_path / layout, workers=2)
    assert digests(tmp_path) == digests(root)


def test_seed_and_split_change_every_image(root):
    first = {v for k, v in digests(root / 'mpii').items() if k.endswith('jpg')}
    assert len(first) == sum(COUNTS.values())  # no image twice, none in both splits
    other, record = make_image(Recipe('mpii', **COUNTS, seed=1), 'train', 0)
    assert hashlib.sha256(other).hexdigest() not in first
    train, val = (
        json.loads((root / f'mpii/annotations/mpii_{s}.json').read_text()) for s in COUNTS
    )
    assert not {json.dumps(p['joints']) for p in train} & {json.dumps(p['joints']) for p in val}
    assert not {p['image'] for p in train} & {p['image'] for p in val}


def test_manifest_tells_the_arguments(root):
    manifest = json.loads((root / 'coco' / 'synthetic.json').read_text())
    assert manifest.pop('version') >= 1
    assert manifest.pop('generator')
    manifest['size'] = tuple(manifest['size'])
    assert Recipe(**manifest) == Recipe('coco', **COUNTS)


def test_mpii_loads_in_mmpose(root):
    from mmpose.datasets import MpiiDataset

    dataset = MpiiDataset(
        ann_file='annotations/mpii_val.json',
        headbox_file=str(root / 'mpii/annotations/mpii_gt_val.mat'),
        data_root=str(root / 'mpii'),
        data_prefix=dict(img='images/'),
        test_mode=True,
    )
    assert len(dataset) == COUNTS['val']
    for info in dataset:
        image = cv2.imread(info['img_path'])
        assert image.shape == (256, 256, 3)
        shown = info['keypoints'][0][info['keypoints_visible'][0] > 0]
        x1, y1, x2, y2 = info['bbox'][0]
        held = ((shown >= (x1 - 12, y1 - 12)) & (shown <= (x2 + 12, y2 + 12))).all(axis=1)
        assert held.mean() > 0.8
        assert 5 < info['head_size'].item() < 60


def test_mpii_files_have_the_real_ones_form(root):
    people = json.loads((root / 'mpii/annotations/mpii_val.json').read_text())
    theirs = {'joints_vis', 'joints', 'image', 'scale', 'center'}
    assert set(people[0]) == theirs | {'hidden', 'crowding'}  # ours, which nobody else reads
    hidden = np.array([p['hidden'] for p in people])
    assert hidden.any() and not (hidden & (1 - np.array([p['joints_vis'] for p in people]))).any()
    assert any(p['crowding'] > 0 for p in people) and any(p['crowding'] == 0 for p in people)
    joints = np.array([p['joints'] for p in people])
    vis = np.array([p['joints_vis'] for p in people])
    assert joints.shape == (COUNTS['val'], 16, 2)
    assert (joints[vis == 0] == -1).all() and (joints[vis == 1] >= 0.5).all()
    mat = loadmat(root / 'mpii/annotations/mpii_gt_val.mat')
    n = COUNTS['val']
    assert mat['pos_gt_src'].shape == (16, 2, n) and mat['pos_gt_src'].dtype == np.float64
    assert mat['headboxes_src'].shape == (2, 2, n) and mat['headboxes_src'].dtype == np.float64
    assert mat['jnt_missing'].shape == (16, n) and mat['jnt_missing'].dtype == np.uint8
    names = [str(cell[0]) for cell in mat['dataset_joints'][0]]
    assert names[:2] == ['rank', 'rkne'] and names[9] == 'head' and len(names) == 16
    assert (mat['jnt_missing'].T == 1 - vis).all()
    gt = mat['pos_gt_src'].transpose(2, 0, 1)
    assert (gt[vis == 1] == joints[vis == 1]).all() and (gt[vis == 0] == 0).all()
    boxes = mat['headboxes_src'].transpose(2, 0, 1)
    for joint in (8, 9):
        inside = (joints[:, joint] > boxes[:, 0]) & (joints[:, joint] < boxes[:, 1])
        assert inside.all(axis=1)[vis[:, joint] == 1].all()


def test_mpii_has_a_test_set_without_joints(root):
    folder = root / 'mpii/annotations'
    val, test, both = (
        json.loads((folder / f'mpii_{split}.json').read_text())
        for split in ('val', 'test', 'trainval')
    )
    assert test == [{key: p[key] for key in ('image', 'center', 'scale')} for p in val]
    assert both == json.loads((folder / 'mpii_train.json').read_text()) + val
    release = read_release(str(folder / 'mpii_human_pose_v1_u12_1.mat'))
    assert list(release) == [p['image'] for p in val]
    for person, (rect,) in zip(val, release.values(), strict=True):
        assert rect['objpos'].tolist() == person['center'] and rect['scale'] == person['scale']
        assert rect['scored']


def test_coco_loads_in_mmpose(root):
    from mmpose.datasets import CocoDataset

    shared = dict(
        ann_file='annotations/person_keypoints_val2017.json',
        data_root=str(root / 'coco'),
        data_prefix=dict(img='val2017/'),
        test_mode=True,
    )
    truth = CocoDataset(**shared)
    assert len(truth) > COUNTS['val']
    assert cv2.imread(truth[0]['img_path']).shape == (240, 320, 3)
    name = 'person_detection_results/COCO_val2017_detections_AP_H_56_person.json'
    found = CocoDataset(**shared, bbox_file=str(root / 'coco' / name))
    assert len(found) > 0.8 * len(truth)


def test_coco_testdev_is_val_without_its_people(root):
    folder = root / 'coco'
    info, truth = (
        json.loads((folder / f'annotations/{name}.json').read_text())
        for name in ('image_info_test-dev2017', 'person_keypoints_val2017')
    )
    assert 'annotations' not in info and info['images'] == truth['images']
    assert info['categories'] == [dict(supercategory='person', id=1, name='person')]
    for image in info['images']:
        assert (folder / 'test2017' / image['file_name']).read_bytes() == (
            folder / 'val2017' / image['file_name']
        ).read_bytes()
    boxes, found = (
        json.loads((folder / f'person_detection_results/COCO_{name}_person.json').read_text())
        for name in ('test-dev2017_detections_AP_H_609', 'val2017_detections_AP_H_56')
    )
    assert boxes == found and boxes


def test_coco_ground_truth_as_detections_is_perfect(root):
    from xtcocotools.coco import COCO
    from xtcocotools.cocoeval import COCOeval

    truth = COCO(str(root / 'coco/annotations/person_keypoints_val2017.json'))
    results = [
        {**{k: a[k] for k in ('image_id', 'category_id', 'keypoints')}, 'score': 1.0}
        for a in truth.dataset['annotations']
        if a['num_keypoints']
    ]
    sigmas = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1e3
    run = COCOeval(truth, truth.loadRes(results), 'keypoints', sigmas)
    run.evaluate()
    run.accumulate()
    run.summarize()
    assert run.stats[0] == pytest.approx(1.0)


def test_coco_boxes_areas_and_flags_agree_with_the_masks(root):
    content = json.loads((root / 'coco/annotations/person_keypoints_val2017.json').read_text())
    assert len(content['categories'][0]['keypoints']) == 17
    ids = [a['id'] for a in content['annotations']]
    assert len(set(ids)) == len(ids)
    flags = np.concatenate([a['keypoints'][2::3] for a in content['annotations']])
    assert set(flags) == {0, 1, 2} and (flags == 2).sum() > (flags == 1).sum()
    for a in content['annotations']:
        assert a['num_keypoints'] == sum(f > 0 for f in a['keypoints'][2::3])
        x, y, w, h = a['bbox']
        assert 0 <= x and 0 <= y and x + w <= 320 and y + h <= 240
        assert 64 <= a['area'] <= w * h
        mask = np.zeros((240, 320), np.uint8)
        polygons = [np.array(p, np.int32).reshape(-1, 2) for p in a['segmentation']]
        for polygon in polygons:
            cv2.fillPoly(mask, [polygon], 1)
        assert mask.sum() == pytest.approx(a['area'], rel=0.25, abs=30)


def test_flic_has_the_original_fields(root):
    examples = loadmat(root / 'flic/examples.mat')['examples']
    assert examples.shape == (1, sum(COUNTS.values()))
    assert examples.dtype.names == (
        'poselet_hit_idx', 'moviename', 'coords', 'filepath', 'imgdims', 'currframe', 'torsobox',
        'istrain', 'istest',
    )  # fmt: skip
    facing = 0
    for example in examples[0]:
        assert cv2.imread(str(root / 'flic/images' / example['filepath'][0])).shape == (240, 360, 3)
        assert example['imgdims'].tolist() == [[240, 360, 3]]
        assert example['istrain'].item() + example['istest'].item() == 1
        coords = example['coords']
        assert coords.shape == (2, 29)
        used = [0, 1, 2, 3, 4, 5, 6, 9, 12, 13, 16]
        assert np.isnan(np.delete(coords, used, axis=1)).all()
        x1, y1, x2, y2 = example['torsobox'][0]
        assert x1 < x2 and y1 < y2
        facing += coords[0, 0] > coords[0, 3]  # the person's left is at the image's right
    assert facing > 0.7 * examples.size


def test_flic_loads_in_our_dataset(root):
    dataset = FlicDataset(
        ann_file='examples.mat',
        split='test',
        data_root=str(root / 'flic'),
        data_prefix=dict(img='images/'),
        test_mode=True,
    )
    assert len(dataset) == COUNTS['val']
    assert all(Path(info['img_path']).is_file() for info in dataset)
    assert np.mean([info['keypoints_visible'].mean() for info in dataset]) > 0.8


# ---------------------------------------------------------------- the tool


def tool(*args):
    mspose_command.main(['synthesize', *map(str, args)])


def test_only_synthetic_data_is_replaced(tmp_path, monkeypatch):
    out, recipe = tmp_path / 'set', Recipe('mpii', 1, 0)
    out.mkdir()
    (out / 'mine').write_text('keep')
    for content in (None, '{"generator": "other"}', '[]', 'text'):
        if content:
            (out / 'synthetic.json').write_text(content)
        for overwrite in (False, True):
            with pytest.raises(InputError, match='other files than a synthetic data set'):
                write_dataset(recipe, out, overwrite=overwrite)
    assert [p.name for p in tmp_path.iterdir()] == ['set'] and (out / 'mine').exists()
    own = tmp_path / 'own'
    write_dataset(recipe, own)
    (own / 'images' / 'old').touch()
    manifest = json.loads((own / 'synthetic.json').read_text())
    assert manifest['generator'] == 'mspose_plugin.datasets.synthetic'  # of all earlier ones, too
    with pytest.raises(InputError, match='holds a synthetic data set; --overwrite'):
        write_dataset(recipe, own)
    for folder in (own, own / 'images'):
        monkeypatch.chdir(folder)
        with pytest.raises(InputError, match='working folder'):
            write_dataset(recipe, own, overwrite=True)
    monkeypatch.chdir(tmp_path)
    write_dataset(recipe, own, overwrite=True)
    assert not (own / 'images' / 'old').exists() and (own / 'synthetic.json').exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ['own', 'set']


def test_what_a_killed_run_leaves_goes_with_the_next(tmp_path):
    code = (
        'import os, signal, sys\n'
        'from mspose_plugin.synthetic import Recipe, write_dataset\n'
        'def kill(chunks, total):\n'
        '    yield next(iter(chunks))\n'
        '    os.kill(os.getpid(), signal.SIGKILL)\n'
        "write_dataset(Recipe('mpii', 33, 1), 'set', progress=kill)\n"
    )
    (tmp_path / 'killed.py').write_text(code)
    assert tiny_run.run([tmp_path / 'killed.py'], tmp_path).status == -signal.SIGKILL
    foreign = tmp_path / '.set-backup'
    foreign.mkdir()
    left = {p.name for p in tmp_path.glob('.set-*')}
    assert len(left) == 2

    def look(chunks, total):  # another run for the same folder leaves this one's files alone
        (killed,) = left - {'.set-backup'}
        assert not (tmp_path / killed).exists()
        lines = ('from mspose_plugin.synthetic import Recipe, write_dataset\n'
                 "write_dataset(Recipe('mpii', 1, 0), 'set')\n")  # fmt: skip
        (tmp_path / 'other.py').write_text(lines)
        assert tiny_run.run([tmp_path / 'other.py'], tmp_path).status == 0
        yield from chunks

    with pytest.raises(InputError, match='holds a synthetic data set'):
        write_dataset(Recipe('mpii', 2, 0), tmp_path / 'set', progress=look)
    assert [p.name for p in tmp_path.glob('.set-*')] == ['.set-backup']
    assert len(list((tmp_path / 'set' / 'images').iterdir())) == 1


def test_nothing_half_written_stays_after_a_failure(tmp_path):
    def broken(chunks, total):
        yield next(iter(chunks))
        raise RuntimeError('power cut')

    with pytest.raises(RuntimeError, match='power cut'):
        write_dataset(Recipe('mpii', 40, 1), tmp_path / 'set', progress=broken)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'change, name',
    [
        (dict(train=-1), 'train'),
        (dict(train=0, val=0), 'train'),
        (dict(seed=-1), 'seed'),
        (dict(size=(8, 8)), 'size'),
        (dict(quality=0), 'quality'),
        (dict(layout='lsp'), 'layout'),
        (dict(difficulty='insane'), 'difficulty'),
        (dict(changes=dict(gravity=1)), 'changes.*gravity'),
        (dict(changes=dict(distance=3)), 'distance=3'),
        (dict(changes=dict(without=['colour'])), 'without=\'colour\''),
        (dict(changes=dict(occluder=-1)), 'occluder=-1'),
    ],
)
def test_recipe_names_the_bad_value(change, name):
    with pytest.raises(ValueError, match=name):
        Recipe(**{**dict(layout='mpii', train=1, val=1), **change})


def test_tool_writes_and_refuses_in_one_line(tmp_path, capsys):
    out = tmp_path / 'made'
    args = ('--layout', 'mpii', '--out', out, '--train', 2, '--val', 1, '--size', 64)
    tool(*args, '--workers', 1)
    assert len(list((out / 'images').iterdir())) == 3
    assert '3 images' in capsys.readouterr().out
    for more, message in (
        ((), '--overwrite'),
        (('--seed', -1), '--seed: expected a whole number of 0 or more'),
    ):
        with pytest.raises(SystemExit):
            tool(*args, *more)
        assert message in capsys.readouterr().err
