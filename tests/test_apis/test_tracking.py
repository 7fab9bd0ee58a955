"""``PosePredictor.track``: steady ids, smooth joints, boxes of the last pose, a file of tracks."""

import json

import cv2
import moving_people
import numpy as np
import pytest
import tiny_run
import true_poses
from moving_people import Walk
from xtcocotools.coco import COCO

from mspose_plugin.apis import smoothing
from mspose_plugin.apis.id_drawing import id_colour
from mspose_plugin.apis.predictor import PosePredictor
from mspose_plugin.apis.tracks import TrackFile, read_tracks
from mspose_plugin.apis.video import VideoWriter
from mspose_plugin.utils.errors import InputError

pytest.importorskip('trackers', reason='the extra "track" is not installed')
TRACKERS = ['ocsort', 'bytetrack', 'botsort']


@pytest.fixture(scope='module')
def predictor(tmp_path_factory):
    folder = tmp_path_factory.mktemp('tracking')
    config, weights = tiny_run.write_model(folder, deviation=0.2)
    return PosePredictor(config, weights, device='cpu', test_cfg=dict(flip_test=False))


@pytest.fixture(scope='module')
def crossing():
    """Return two people who walk past each other; the far one is hidden for some frames."""
    return moving_people.walk([Walk(0.1, 0.9, 0.5), Walk(0.9, 0.1, 0.8)], 50)


@pytest.fixture(scope='module')
def apart():
    return moving_people.walk([Walk(0.1, 0.45, 0.6), Walk(0.55, 0.9, 0.7)], 24)


def follow(predictor, clip, found, **options):
    """Return the results, and the ids of each person of the clip, 0 where it was not seen."""
    results = list(predictor.track(clip.frames, [boxes for boxes, _ in found], **options))
    ids = np.zeros(clip.boxes.shape[:2], int)
    for result, (_, who) in zip(results, found):
        ids[result.index, who] = result.ids
    return results, ids


def detections(clip, seed=0, **options):
    return moving_people.detections(clip, np.random.default_rng(seed), **options)


@pytest.mark.parametrize('tracker', TRACKERS)
def test_ids_are_steady_under_jitter(predictor, monkeypatch, apart, tracker):
    true_poses.install(monkeypatch, predictor, apart)
    results, ids = follow(predictor, apart, detections(apart, jitter=0.03), tracker=tracker)
    assert [r.index for r in results] == list(range(24))
    assert [r.time for r in results] == pytest.approx([t / 25 for t in range(24)])
    assert [set(column) for column in ids.T] == [{ids[0, 0]}, {ids[0, 1]}]
    assert set(ids[0]) == {1, 2}  # from the first frame on, and from 1


@pytest.mark.parametrize('seed', range(8))
def test_one_id_for_each_person_through_an_occlusion(predictor, monkeypatch, crossing, seed):
    true_poses.install(monkeypatch, predictor, crossing)
    found = detections(crossing, seed)
    hidden = (crossing.seen[:, 0] < 0.5).sum()
    assert hidden >= 3  # else the test would show nothing
    _, ids = follow(predictor, crossing, found)
    assert [set(column) - {0} for column in ids.T] == [{ids[0, 0]}, {ids[0, 1]}]
    assert (ids == 0).sum() == hidden  # from the first frame after it on


def test_a_person_who_comes_later_and_one_who_is_missed(predictor, monkeypatch, apart):
    true_poses.install(monkeypatch, predictor, apart)
    found = detections(apart)
    everyone = [(boxes[np.argsort(who)], np.sort(who)) for boxes, who in found]
    for t in range(24):
        if t < 10 or 15 <= t < 20:  # five frames
            everyone[t] = tuple(part[:1] for part in everyone[t])
    _, ids = follow(predictor, apart, everyone)
    assert set(ids[:, 0]) == {1}
    assert ids[10, 1] == 0  # its id comes with the second sight
    assert set(ids[11:15, 1]) == {2} and set(ids[20:, 1]) == {2}


def test_a_false_alarm_has_no_id(predictor, monkeypatch, apart):
    true_poses.install(monkeypatch, predictor, apart)
    found = detections(apart)
    boxes, who = found[12]
    found[12] = np.concatenate([boxes, [[0, 0, 20, 30, 0.9]]]), who
    results = list(predictor.track(apart.frames, [boxes for boxes, _ in found]))
    assert results[12].ids[-1] == 0 and {i for r in results for i in r.ids} == {0, 1, 2}


def test_an_empty_frame_and_a_broken_one(predictor, monkeypatch, apart):
    true_poses.install(monkeypatch, predictor, apart)
    found = detections(apart)
    found[7] = found[7][0][:0], found[7][1][:0]
    frames = [*apart.frames[:9], 'nowhere.png', *apart.frames[10:]]
    results = list(predictor.track(frames, [boxes for boxes, _ in found]))
    assert len(results) == 24 and 'nowhere.png' in results[9].fault
    assert results[7].ids.shape == results[9].ids.shape == (0,)
    assert {i for r in results for i in r.ids} == {1, 2}


def test_joints_are_smooth_unless_told_otherwise(predictor, monkeypatch, apart):
    truth = true_poses.joints(apart, predictor.names)

    def found(**options):
        true_poses.install(monkeypatch, predictor, apart, noise=2.0)
        boxes = [b[np.argsort(who)] for b, who in detections(apart)]
        return np.stack([r.keypoints for r in predictor.track(apart.frames, boxes, **options)])

    raw, smooth = found(smooth=False), found()

    def jitter(points):
        return np.linalg.norm(np.diff(points - truth, axis=0), axis=-1).mean()

    assert jitter(smooth) < 0.75 * jitter(raw)
    assert (
        np.linalg.norm(smooth - truth, axis=-1).mean() < np.linalg.norm(raw - truth, axis=-1).mean()
    )
    assert np.array_equal(raw[0], smooth[0]) and smooth.dtype == raw.dtype


def test_smoothing_is_told_the_scores_and_the_time(predictor, monkeypatch, apart):
    seen = []

    class Noted(smoothing.OneEuroFilter):
        def __call__(self, ids, points, scores, sizes, time):
            seen.append((scores.mean(), sizes, time))
            return points

    monkeypatch.setattr('mspose_plugin.apis.tracking.OneEuroFilter', Noted)
    true_poses.install(monkeypatch, predictor, apart)
    boxes = [b[np.argsort(who)] for b, who in detections(apart)]
    list(predictor.track(apart.frames, boxes, rate=10))
    assert [time for *_, time in seen] == pytest.approx([t / 10 for t in range(24)])
    heights = apart.boxes[..., 3] - apart.boxes[..., 1]
    assert np.allclose([sizes for _, sizes, _ in seen], heights, rtol=0.3)
    assert all(0.5 < mean < 1 for mean, *_ in seen)


# ---------------------------------------------------------------- boxes from the last pose


@pytest.mark.parametrize('every', [5, 100])
def test_between_detections_people_are_followed(predictor, monkeypatch, apart, every):
    looked = true_poses.install(monkeypatch, predictor, apart)
    calls = []

    def detect(image):
        t = next(i for i, frame in enumerate(apart.frames) if np.array_equal(frame, image))
        calls.append(t)
        return np.column_stack([apart.boxes[t], [0.9, 0.8]])

    monkeypatch.setattr(predictor, 'detector', detect)
    results = list(predictor.track(apart.frames, detect_every=every, smooth=False))
    assert calls == list(range(0, 24, every))
    truth = true_poses.joints(apart, predictor.names)
    assert np.abs(np.stack([r.keypoints for r in results]) - truth).max() < 1e-3
    assert {tuple(r.ids) for r in results} == {tuple(results[0].ids)}
    assert len(looked) == 48
    # the boxes of the results are where people are now, with the detector's scores
    for t, result in enumerate(results):
        inside = (truth[t] >= result.boxes[:, None, :2]) & (truth[t] <= result.boxes[:, None, 2:])
        assert inside.all()
        assert result.box_scores.tolist() == pytest.approx([0.9, 0.8])
    sides = (apart.boxes[..., 3] - apart.boxes[..., 1])[-1]
    assert np.allclose(results[-1].boxes[:, 3] - results[-1].boxes[:, 1], sides, rtol=0.3)


def test_who_is_lost_is_looked_for_again(predictor, monkeypatch, apart):
    true_poses.install(monkeypatch, predictor, apart)
    calls = []

    def detect(image):  # at first next to everybody
        calls.append(1)
        return [[0, 0, 9, 9, 0.9]] if len(calls) < 4 else np.c_[apart.boxes[3], [0.9, 0.9]]

    monkeypatch.setattr(predictor, 'detector', detect)
    results = list(predictor.track(apart.frames[:8], detect_every=100))
    assert len(calls) == 4 and [len(r) for r in results] == [1] * 3 + [2] * 5


def test_two_boxes_that_end_on_one_person_become_one(predictor, monkeypatch, apart):
    true_poses.install(monkeypatch, predictor, apart)
    box = apart.boxes[0, 0]
    twice = np.c_[[box, box + [-4, 3, -4, 3]], [0.9, 0.8]]
    monkeypatch.setattr(predictor, 'detector', lambda image: twice)
    results = list(predictor.track(apart.frames[:6], detect_every=100))
    assert [len(r) for r in results] == [2, 1, 1, 1, 1, 1]


def test_the_whole_image_at_first_then_around_the_person(predictor, monkeypatch):
    clip = moving_people.walk([Walk(0.3, 0.6, 0.8)], 6)
    looked = true_poses.install(monkeypatch, predictor, clip)
    results = list(predictor.track(clip.frames, detect_every=100))
    widths = [x2 - x1 for _, x1, _, x2, _ in looked]
    assert widths[0] >= 320 and max(widths[1:]) < 300
    assert [r.ids.tolist() for r in results] == [[1]] * 6


# ---------------------------------------------------------------- inputs


def write_video(path, frames, rate=10.0):
    with VideoWriter(str(path), rate) as video:
        for frame in frames:
            video.write(frame)
    return path


def test_every_kind_of_input(predictor, apart, tmp_path):
    """A file of boxes by number or name, a video, a folder, a pattern, all in the right order."""
    frames = apart.frames[:12]
    write_video(tmp_path / 'v.mp4', frames)
    (tmp_path / 'frames').mkdir()
    for i, frame in enumerate(frames):
        cv2.imwrite(str(tmp_path / f'frames/f{i}.png'), frame)  # f10 after f9
    boxes = tmp_path / 'boxes.json'
    entries = []
    for t, (found, _) in enumerate(detections(apart)[:12]):
        for name in (t, f'v.mp4:{t}') if t == 3 else (t,) if t < 6 else (f'{tmp_path}/v.mp4:{t}',):
            for x1, y1, x2, y2, score in found.tolist():
                box = [x1, y1, x2 - x1, y2 - y1]
                entries.append(dict(image_id=name, bbox=box, score=score))
    boxes.write_text(json.dumps(entries))
    results = list(predictor.track(tmp_path / 'v.mp4', str(boxes)))
    assert [len(r) for r in results] == [2] * 12 and results[-1].time == pytest.approx(1.1)
    assert {i for r in results for i in r.ids} == {1, 2}
    for source in (tmp_path / 'frames', str(tmp_path / 'frames/*.png')):
        results = list(predictor.track(source))
        assert [r.path[-7:].strip('/') for r in results][9:] == [
            '/f9.png'.strip('/'),
            'f10.png',
            'f11.png',
        ]
        assert [r.ids.tolist() for r in results] == [[1]] * 12
        assert np.array_equal(results[7].image, frames[7])
    assert results[-1].time == pytest.approx(11 / 25)


def test_a_camera_is_not_read_ahead(predictor, apart, monkeypatch):
    """Each frame is done before the next is taken, and has the time at which it was."""
    taken = []

    class Camera:
        def __init__(self, number):
            pass

        def isOpened(self):
            return True

        def read(self):
            taken.append(True)
            return len(taken) < 9, apart.frames[len(taken)]

        def release(self):
            pass

    monkeypatch.setattr(cv2, 'VideoCapture', Camera)
    results = []
    for result in predictor.track('webcam:0'):
        results.append(result)
        assert len(taken) == len(results)
    times = [r.time for r in results]
    assert len(results) == 8 and times[0] == 0 and (np.diff(times) > 0).all()


def test_a_rotated_video_is_upright(predictor, tmp_path):
    """A telephone notes in the track's header how it was held."""
    frames = np.random.default_rng(0).integers(0, 255, (3, 48, 64, 3)).astype(np.uint8)
    path = write_video(tmp_path / 'v.mp4', frames)
    data = bytearray(path.read_bytes())
    one = 0x10000
    at = data.index(b'tkhd') + 44
    assert int.from_bytes(data[at : at + 4], 'big') == one
    turned = [0, one, 0, -one, 0, 0, 48 * one, 0, 0x40000000]
    data[at : at + 36] = b''.join(value.to_bytes(4, 'big', signed=True) for value in turned)
    path.write_bytes(data)
    results = list(predictor.track(path))
    assert len(results) == 3 and results[0].image.shape == (64, 48, 3)
    assert results[0].boxes.tolist() == [[0, 0, 48, 64]]


@pytest.mark.parametrize(
    'options, words',
    [
        (dict(tracker='deepsort'), 'tracker='),
        (dict(detect_every=0), 'detect_every=0'),
        (dict(detect_every=1.5), 'detect_every=1.5'),
        (dict(rate=0), 'rate=0'),
        (dict(inputs=np.zeros((9, 9, 3), np.uint8)), 'tracking needs a video'),
        (dict(inputs='nowhere.mp4'), 'nowhere.mp4: no such file'),
    ],
)
def test_bad_arguments(predictor, apart, options, words):
    with pytest.raises(InputError, match=words):
        list(predictor.track(**{'inputs': apart.frames, **options}))


def test_without_the_package(predictor, apart, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'trackers', None)
    with pytest.raises(InputError, match='pip install .*trackers'):
        predictor.track(apart.frames)


# ---------------------------------------------------------------- pictures and files


def test_a_colour_for_each_id(predictor, monkeypatch, apart):
    colours = [id_colour(i) for i in range(9)]
    assert len(set(colours)) == 9 and colours[0] == (160, 160, 160)
    apart_by = np.abs(np.diff(np.array(colours), axis=0)).sum(axis=1)
    assert apart_by.min() > 100
    true_poses.install(monkeypatch, predictor, apart)
    boxes = [b[np.argsort(who)] for b, who in detections(apart)]
    (result, *_) = predictor.track(apart.frames, boxes)
    result.image = np.zeros_like(result.image)
    for person in (0, 1):
        picture = result.plot()
        x, y = result.keypoints[person].mean(axis=0).astype(int)
        part = picture[max(y - 40, 0) : y + 40, max(x - 20, 0) : x + 20].reshape(-1, 3)
        wanted = np.array(id_colour(int(result.ids[person])))[::-1]
        assert (np.abs(part.astype(int) - wanted).max(axis=1) < 30).mean() > 0.02
    result.ids[:] = 0
    grey = result.plot().reshape(-1, 3).astype(int)
    assert np.ptp(grey, axis=1).max() < 5  # and no number is written
    assert result.to_coco()[0]['track_id'] == 0


def test_tracks_round_trip(predictor, monkeypatch, crossing, tmp_path):
    true_poses.install(monkeypatch, predictor, crossing)
    results, ids = follow(predictor, crossing, detections(crossing))
    file = TrackFile('clips/v.mp4', 25.0)
    for result in results:
        file.add(result)
    path = tmp_path / 'new' / 'v.json'
    file.write(str(path), speed=12.5)
    tracks = read_tracks(str(path))
    assert list(tracks) == [1, 2] and file.people == 2 and file.frames == 50
    for number, track in tracks.items():
        person = np.flatnonzero(ids[0] == number)[0]
        assert track.frames.tolist() == np.flatnonzero(ids[:, person]).tolist()
        assert np.allclose(track.times, track.frames / 25)
        assert track.names == predictor.names
        for i, t in enumerate(track.frames):
            row = np.flatnonzero(results[t].ids == number)[0]
            assert np.allclose(track.keypoints[i], results[t].keypoints[row], atol=1e-3)
            assert np.allclose(track.scores[i], results[t].scores[row], atol=1e-3)
            assert np.allclose(track.boxes[i], results[t].boxes[row], atol=1e-2)

    content = json.loads(path.read_text())
    assert content['info'] == dict(frames_per_second=25.0, people=2, speed=12.5)
    assert content['videos'] == [dict(id=1, name='v.mp4', width=320, height=240)]
    coco = COCO(str(path))
    assert len(coco.getAnnIds(imgIds=[5])) == 2 and coco.imgs[5]['time'] == 0.2
    names, skeleton = coco.cats[1]['keypoints'], coco.cats[1]['skeleton']
    bones = [{names[a - 1], names[b - 1]} for a, b in skeleton]
    assert {'right_ankle', 'right_knee'} in bones


def test_a_file_that_holds_no_tracks(tmp_path):
    path = tmp_path / 'v.json'
    good = dict(
        videos=[{}],
        images=[dict(id=0, frame_id=0, time=0.0)],
        annotations=[dict(id=1, image_id=0, track_id=1, bbox=[0, 0, 1, 1], keypoints=[1, 2, 0.5])],
        categories=[dict(keypoints=['nose'])],
    )
    path.write_text(json.dumps(good))
    assert read_tracks(str(path))[1].keypoints.tolist() == [[[1, 2]]]
    person = good['annotations'][0]
    for change in (
        [],
        dict(categories=[]),
        dict(categories=[3]),
        dict(images=3),
        dict(annotations=[dict(person, image_id=7)]),
        dict(annotations=[dict(person, track_id='a')]),
        dict(annotations=[dict(person, keypoints=[1, 2])]),
        dict(annotations=[dict(person, image_id=[1])]),
    ):
        path.write_text(json.dumps({**good, **change} if change else change))
        with pytest.raises(InputError, match='v.json'):
            read_tracks(str(path))
