"""What a visitor looks at: results, drawings, heatmaps, trials and files, without a browser."""

import json
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
import tiny_run

from mspose_plugin.apis.predictor import PosePredictor
from mspose_plugin.utils.errors import InputError
from mspose_plugin.web import markup, view
from mspose_plugin.web.uploads import Limits
from mspose_plugin.web.view import DETECTED, DRAWN, WHOLE, look

TEST_CFG = dict(conditional=dict(thresholds=0), output_trials=True)


@pytest.fixture(scope='module')
def base(tmp_path_factory):
    """Return a folder with the tiny model and a photo that is larger than what is shown."""
    folder = tmp_path_factory.mktemp('web')
    tiny_run.write_model(folder, deviation=0.2)
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    cv2.imwrite(str(folder / 'small.png'), noise)
    cv2.imwrite(str(folder / 'large.png'), cv2.resize(noise, (2000, 1500)))
    return folder


@pytest.fixture(scope='module')
def predictor(base):
    found = np.array([[5, 5, 40, 50, 0.9], [30, 10, 70, 58, 0.8]])
    return PosePredictor(
        str(base / 'tiny.py'),
        str(base / 'a.pth'),
        device='cpu',
        detector=lambda image: found * (*[len(image) / 60] * 4, 1),
        test_cfg=TEST_CFG,
    )


@pytest.fixture
def seen(base, predictor):
    def run(where=WHOLE, corners=(), name='small.png', **test_cfg):
        other = predictor.with_test_cfg(**test_cfg)
        return look(other, str(base / name), where, corners, Limits(), 'my photo.png')

    return run


@pytest.mark.parametrize('name', ['small.png', 'large.png'])
def test_where_people_are(base, predictor, seen, name):
    """In the pixels of the file, whatever is shown."""
    size = np.array([[0, 0, 80, 60]]) * (25 if name == 'large.png' else 1)
    image = cv2.imread(str(base / name))
    assert np.array_equal(seen(name=name).result.boxes, size)
    assert len(seen(DETECTED, name=name).result) == 2
    found = seen(DRAWN, [(50, 40), (10, 20), (0, 0)], name)
    assert found.result.boxes.tolist() == [[10, 20, 50, 40]]
    expected = predictor(image, [[10, 20, 50, 40]])
    assert np.allclose(found.result.keypoints, expected.keypoints, atol=1e-3)
    assert len(seen(DRAWN, name=name).result) == 0
    shown = found.shown
    assert max(shown.image.shape) <= view.SHOWN
    assert np.allclose(shown.keypoints, found.result.keypoints * found.scale)


def test_boxes_are_within_the_image():
    corners = [(-5, 10), (30, 90), (3, 3), (4, 4), (20, 20), (10, 10), (1, 1)]
    assert view.boxes_from(corners, 40, 50).tolist() == [[0, 10, 30, 50], [10, 10, 20, 20]]
    assert view.boxes_from([], 40, 50).shape == (0, 4)


def test_drawing_follows_the_score(seen):
    result = seen(name='large.png').shown
    result.scores = np.linspace(0, 1, 16)[None]
    result.keypoints[0] = np.linspace((200, 200), (700, 600), 16)
    bare = view.draw(result, 9)
    assert np.array_equal(bare, result.image[..., ::-1])
    changed = [(view.draw(result, s) != bare).sum() for s in (0, 0.9)]
    assert changed[0] > changed[1] > 0
    ringed = view.draw(result, 9, 0, 'pelvis')
    x, y = result.keypoints[0, result.names.index('pelvis')]
    ys, xs = np.nonzero((ringed != bare).any(axis=2))
    assert len(xs) and np.hypot(xs - x, ys - y).max() < 40
    assert (view.draw(result, 9, corner=(300, 300)) != bare)[290:310, 290:310].any()


def test_several_people_have_boxes_with_numbers(seen):
    result = seen(DETECTED).shown
    first, second = (view.draw(result, 9, person) for person in (0, 1))
    assert (first != result.image[..., ::-1]).any() and (first != second).any()


def test_a_click_selects_the_nearest_joint(seen):
    result = seen(DETECTED, name='large.png').shown
    x, y = result.keypoints[1, 3]
    person, name = view.joint_at(result, x + 1, y - 1, -1)
    found = result.keypoints[person, result.names.index(name)]
    assert np.allclose(found, (x, y))  # another joint may be at the same place
    assert view.joint_at(result, x, y, min_score=9) is None
    assert view.joint_at(result, -500, -500, -1) is None
    assert view.joint_at(seen(DRAWN).shown, x, y, -1) is None


def test_heatmaps_are_computed_once_for_a_person(base, predictor, seen):
    found = seen(DETECTED, name='large.png')
    maps = view.heatmaps_of(predictor, found, 1, Limits())
    expected = predictor.all_heatmaps(str(base / 'large.png'), found.result.boxes[1])
    assert np.array_equal(maps.predictions['stack 1'][-1], expected.predictions['stack 1'][-1])
    found.path = 'gone.png'
    assert view.heatmaps_of(predictor, found, 1, Limits()) is maps
    with pytest.raises(InputError, match='upload it again'):
        view.heatmaps_of(predictor, found, 0, Limits())


def test_downloads_are_in_pixels_of_the_file(seen, tmp_path):
    found = seen(DETECTED, name='large.png')
    path = view.write_json(found, tmp_path)
    assert path.name == 'my photo_keypoints.json'
    records = json.loads(path.read_text())
    assert [r['image_id'] for r in records] == ['my photo.png'] * 2
    keypoints = np.array(records[0]['keypoints']).reshape(-1, 3)[:, :2]
    assert np.allclose(keypoints, found.result.keypoints[0], atol=1e-3)
    path = view.write_picture(found, tmp_path, 0.1, Limits())
    assert path.name == 'my photo_pose.jpg'
    assert cv2.imread(str(path)).shape == (1500, 2000, 3)


class Pictures(HTMLParser):
    """Decodes the pictures of a part, and checks that all its tags are closed."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        if tag == 'img':
            data = __import__('base64').b64decode(dict(attrs)['src'].partition(',')[2])
            self.found.append(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
        elif tag != 'br':
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_all_levels_are_in_the_grid(predictor, seen):
    maps = view.heatmaps_of(predictor, seen(), 0, Limits())
    grid = markup.heatmap_grid(maps, 'left_knee')
    pictures = Pictures(grid).found
    assert len(pictures) == 4 and all(p.shape == (256, 256, 3) for p in pictures)
    peaks = [
        f'{n} × {n}, peak {h.max():.2f}'
        for n, h in zip((2, 4, 8, 16), maps.of('left_knee')['stack 1'])
    ]
    assert re.findall(r'\d+ × \d+, peak -?[\d.]+', grid) == peaks
    assert 'Stack 1' in grid and '(stack 1) gives the joint' in grid
    assert 'nothing before it' in markup.before_and_after(maps, 'left_knee')
    maps.predictions['regression'] = maps.predictions['stack 1']
    both = markup.before_and_after(maps, 'left_knee')
    assert (
        len(Pictures(both).found) == 2 and '<b>Stack 1</b>' in both and '<b>Regression</b>' in both
    )


def test_trials_say_what_was_fused(seen):
    assert 'is off' in markup.trials(seen(), 0, 'pelvis')
    sure = seen(conditional=dict(thresholds=1e-6, score_threshold=0.0))
    unsure = seen(conditional=dict(thresholds=9.0, perturbations=[(0.1, 0, 1), (0, -0.2, 1.5)]))
    part = markup.trials(unsure, 0, 'pelvis')
    assert len(Pictures(part).found) == 3
    for words in ('the given crop', '10% to the right', '20% up, 1.50 times as large'):
        assert words in part
    k = unsure.result.names.index('pelvis')
    counts = unsure.result.trials.counts[0, :, k]
    assert part.count('class="used"') == counts.sum() and f'{counts.sum()} of 3 estimates' in part
    scores = sure.result.trials.scores[0, 0]
    assert (scores >= 1e-6).all() == ('no other crop' in markup.trials(sure, 0, 'pelvis'))
    assert '2 more estimates' in view.summary(unsure, 0.3)


def test_the_table_of_joints(seen):
    found = seen()
    table = markup.joint_table(found, 0, float(np.median(found.result.scores)))
    assert table.count('<tr') == 17 and table.count('class="low"') == 8
    x, y, score = found.result[0]['left_knee']
    assert f'<td>left knee</td><td>{x:.1f}</td><td>{y:.1f}</td><td>{score:.2f}</td>' in table
    Pictures(table)
    assert markup.joint_table(found, 5, 0) == ''


def test_summary(seen):
    found = seen(DETECTED)
    assert view.summary(found, -1) == '2 people, 32 of 32 joints with a score of -1 or more.'
    assert view.summary(seen(), 9).startswith('1 person, 0 of 16 joints')
    assert view.summary(seen(DRAWN), 0.3) == ''
