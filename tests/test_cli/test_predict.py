"""``mspose predict``: pictures, videos and a file of results."""

import json
import re
import shutil

import cv2
import numpy as np
import pytest
import tiny_run

import mspose_command
from mspose_plugin.apis import predictor, preparation
from mspose_plugin.apis.tracks import read_tracks
from mspose_plugin.apis.video import VideoWriter


@pytest.fixture(scope='module')
def base(tmp_path_factory):
    """Return a folder with images, a video, a config and a checkpoint of its network."""
    folder = tmp_path_factory.mktemp('predict')
    tiny_run.write_model(folder, deviation=0.2)
    (folder / 'photos').mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (3, 96, 96, 3)).astype(np.uint8)
    for i, picture in enumerate(noise):
        cv2.imwrite(str(folder / f'photos/{i}.png'), picture)
    with VideoWriter(str(folder / 'v.mp4'), 10) as video:
        for picture in noise:
            video.write(picture)
    return folder


@pytest.fixture
def predict(base, tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder; return its last line."""
    monkeypatch.chdir(tmp_path)
    model = ['--model', str(base / 'tiny.py'), '--weights', str(base / 'a.pth')]

    def run(*args):
        mspose_command.main(['predict', *map(str, args), *model, '--device', 'cpu'])
        return capsys.readouterr().out.splitlines()[-1]

    return run


def written(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*.*'))


def test_images_and_a_file_of_results(base, predict, tmp_path):
    line = predict(base / 'photos', base / 'photos/1.png', '--save-json', '--min-score', 0)
    assert line == (
        '4 persons, one for each image or frame (--detector torchvision finds several); '
        'pictures are in predictions'
    )
    assert written(tmp_path / 'predictions') == [
        *('0.jpg', '1.jpg', '1_2.jpg', '2.jpg', 'predictions.json')
    ]
    records = json.loads((tmp_path / 'predictions/predictions.json').read_text())
    assert [r['image_id'] for r in records] == ['0.png', '1.png', '2.png', '1.png']
    assert records[1] == records[3]
    plain = cv2.imread(str(base / 'photos/0.png')).astype(int)
    drawn = cv2.imread(str(tmp_path / 'predictions/0.jpg')).astype(int)
    assert np.abs(drawn - plain).max() > 100


def test_a_video(base, predict, tmp_path):
    assert predict(base / 'v.mp4', '--out', 'out', '--save-json').startswith('3 persons')
    assert written(tmp_path / 'out') == ['predictions.json', 'v.mp4']
    capture = cv2.VideoCapture(str(tmp_path / 'out/v.mp4'))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 3 and capture.get(cv2.CAP_PROP_FPS) == 10
    records = json.loads((tmp_path / 'out/predictions.json').read_text())
    assert [r['image_id'] for r in records] == ['v.mp4:0', 'v.mp4:1', 'v.mp4:2']


def test_other_ways_of_testing(base, predict, tmp_path):
    """Options reach the network: the results differ, the conditional ones where it is unsure."""
    (tmp_path / 'sure.json').write_text('{"thresholds": [0], "score_threshold": 0}')
    (tmp_path / 'unsure.json').write_text('{"thresholds": [9], "score_threshold": 0}')
    found = {}
    for name, options in dict(
        plain=[],
        unflipped=['--no-flip'],
        scales=['--multi-scale'],
        sure=['--conditional', 'sure.json'],
        unsure=['--conditional', 'unsure.json'],
    ).items():
        predict(base / 'photos/0.png', '--save-json', '--out', name, *options)
        found[name] = json.loads((tmp_path / name / 'predictions.json').read_text())[0]['keypoints']
    assert found['sure'] == found['plain']
    assert all(found[name] != found['plain'] for name in ('unflipped', 'scales', 'unsure'))


def test_heatmaps_in_the_picture(base, predict, tmp_path):
    predict(base / 'photos/0.png', '--show-heatmaps')
    picture = cv2.imread(str(tmp_path / 'predictions/0.jpg')).astype(int)
    assert picture[..., 0].mean() > picture[..., 2].mean() + 20  # mostly blue


def test_boxes_of_a_file(base, predict, tmp_path):
    entry = dict(image_id='1.png', bbox=[10, 10, 40, 60], score=0.9)
    (tmp_path / 'boxes.json').write_text(json.dumps([entry, {**entry, 'score': 0.4}]))
    line = predict(base / 'photos', '--boxes', 'boxes.json')
    assert line == '2 persons; pictures are in predictions'


def test_people_followed_through_a_video(base, predict, tmp_path, capsys):
    pytest.importorskip('trackers', reason='the extra "track" is not installed')
    entries = [
        dict(image_id=image_id, bbox=[x + i, 10, 40, 60], score=0.9)
        for i in range(3)
        for x in (2, 50)
        for image_id in (i, f'v.mp4:{i}')[i % 2 : i % 2 + 1]
    ]
    (tmp_path / 'boxes.json').write_text(json.dumps(entries))
    model = ['--model', str(base / 'tiny.py'), '--weights', str(base / 'a.pth'), '--device', 'cpu']
    options = ['--track', '--boxes', 'boxes.json', '--out', 'out', '--min-score', '0']
    mspose_command.main(['predict', str(base / 'v.mp4'), *options, *model])
    line, last = capsys.readouterr().out.splitlines()[-2:]
    found = re.fullmatch(r'.*v\.mp4: 2 people in 3 frames, (\d+\.\d) frames per second', line)
    assert found and last == '6 persons; videos and tracks are in out'
    assert written(tmp_path / 'out') == ['v.json', 'v.mp4']
    capture = cv2.VideoCapture(str(tmp_path / 'out/v.mp4'))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 3 and capture.get(cv2.CAP_PROP_FPS) == 10
    info = json.loads((tmp_path / 'out/v.json').read_text())['info']
    speed = info.pop('speed')
    assert abs(speed - float(found[1])) <= 0.051
    wanted = dict(frames_per_second=10, people=2, tracker='ocsort', smooth=True, detect_every=1)
    assert info == dict(wanted, model=str(base / 'tiny.py'))
    tracks = read_tracks(str(tmp_path / 'out/v.json'))
    assert [track.frames.tolist() for track in tracks.values()] == [[0, 1, 2]] * 2
    assert tracks[1].times.tolist() == [0, 0.1, 0.2] and tracks[1].boxes[0, 1] == 10


def test_a_folder_of_frames(base, predict, tmp_path):
    pytest.importorskip('trackers', reason='the extra "track" is not installed')
    options = ['--track', '--tracker', 'bytetrack', '--no-smooth', '--detect-every', 2, '--fps', 5]
    for given in (base / 'photos', base / 'photos/*.png'):
        predict(given, *options)
        assert written(tmp_path / 'predictions') == ['photos.json', 'photos.mp4']
        capture = cv2.VideoCapture(str(tmp_path / 'predictions/photos.mp4'))
        assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 3 and capture.get(cv2.CAP_PROP_FPS) == 5
        content = json.loads((tmp_path / 'predictions/photos.json').read_text())
        assert content['info']['tracker'] == 'bytetrack' and not content['info']['smooth']
        assert content['info']['detect_every'] == 2 and content['images'][2]['time'] == 0.4


def test_frames_of_two_sizes_make_no_video(base, predict, tmp_path, capsys):
    pytest.importorskip('trackers', reason='the extra "track" is not installed')
    (tmp_path / 'frames').mkdir()
    for i, side in enumerate((64, 64, 80)):
        cv2.imwrite(str(tmp_path / f'frames/{i}.png'), np.zeros((64, side, 3), np.uint8))
    with pytest.raises(SystemExit) as e:
        predict('frames', '--track')
    assert e.value.code == 2
    assert 'a frame of 80x64 among those of 64x64' in capsys.readouterr().err
    assert not (tmp_path / 'predictions').exists() or not written(tmp_path / 'predictions')


def test_the_document(base, tmp_path, monkeypatch, capsys):
    """Every block of docs/video.md, with a tiny network and a detector of everything."""
    pytest.importorskip('trackers', reason='the extra "track" is not installed')
    monkeypatch.chdir(tmp_path)
    shutil.copy(base / 'v.mp4', 'video.mp4')
    shutil.copytree(base / 'photos', 'frames')
    entry = dict(image_id=1, bbox=[10, 10, 40, 60], score=0.9)
    (tmp_path / 'boxes.json').write_text(json.dumps([entry]))
    tiny = str(base / 'tiny.py'), str(base / 'a.pth')
    monkeypatch.setattr(predictor, 'find_model', lambda *given: tiny)
    everything = lambda device: lambda image: [[0, 0, 90, 90, 0.9], [9, 20, 70, 80, 0.8]]  # noqa: E731
    monkeypatch.setattr(preparation, 'torchvision_detector', everything)
    text = (tiny_run.REPOSITORY / 'docs/video.md').read_text()
    blocks = re.findall(r'```(bash|python)\n(.*?)```', text, re.DOTALL)
    assert [kind for kind, _ in blocks] == ['bash', 'bash', 'python', 'python']
    for kind, code in blocks:
        if kind == 'python':
            exec(code, {})
            continue
        for line in code.splitlines():
            if not line.startswith('pip'):
                name, *words = line.split()
                assert name == 'mspose'
                mspose_command.main(words)
    out = capsys.readouterr().out
    assert 'video.mp4: 2 people in 3 frames, ' in out and '0.20 s: person 2' in out
    assert written(tmp_path / 'predictions') == ['video.json', 'video.mp4']


def test_ctrl_c_ends_a_camera(base, predict, tmp_path, monkeypatch):
    pytest.importorskip('trackers', reason='the extra "track" is not installed')
    picture, original, left = cv2.imread(str(base / 'photos/0.png')), cv2.VideoCapture, [1] * 3

    class Camera:
        def __init__(self, number):
            pass

        def isOpened(self):
            return True

        def read(self):
            if not left:
                raise KeyboardInterrupt
            return left.pop(), picture

        def release(self):
            pass

    monkeypatch.setattr(cv2, 'VideoCapture', Camera)
    predict('webcam:0', '--track')
    monkeypatch.setattr(cv2, 'VideoCapture', original)
    assert written(tmp_path / 'predictions') == ['webcam_0.json', 'webcam_0.mp4']
    assert len(json.loads((tmp_path / 'predictions/webcam_0.json').read_text())['images']) == 3
    assert original(str(tmp_path / 'predictions/webcam_0.mp4')).get(cv2.CAP_PROP_FRAME_COUNT) == 3


def test_videos_that_cannot_be_read(base, predict, tmp_path, capsys):
    (tmp_path / 'broken.mp4').write_bytes((base / 'v.mp4').read_bytes()[:100])
    (tmp_path / 'empty.mp4').write_bytes(b'')
    header = cv2.VideoWriter(
        str(tmp_path / 'none.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 5, (64, 64)
    )
    header.release()  # a file without frames
    for name in ('broken.mp4', 'empty.mp4', 'none.avi'):
        for more in ([], ['--track']):
            with pytest.raises(SystemExit) as e:
                predict(name, *more)
            lines = capsys.readouterr().err.strip().splitlines()
            assert e.value.code == 2 and lines[-1].startswith(f'error: input {name}: '), lines
    assert not list(tmp_path.rglob('predictions/*'))


@pytest.mark.parametrize(
    'args, words',
    [
        (['none.png'], 'none.png'),
        (['{photo}', '--track'], 'tracking needs a video'),
        (['none.mp4', '--track'], 'none.mp4'),
        (['{photo}', '--no-smooth'], '--no-smooth: only with --track'),
        (['{photo}', '--fps', '5'], '--fps: only with --track'),
        (['{photo}', '--track', '--tracker', 'deepsort'], 'deepsort'),
        (['{photo}', '--track', '--detect-every', '0'], '1 or more'),
        (['*.gif'], 'check the pattern'),
        (['{photo}', '--boxes', 'none.json'], 'none.json'),
        (['{photo}', '--boxes', 'a.json', '--detector', 'torchvision'], 'not allowed with'),
        (['{photo}', '--conditional', 'none.json'], 'none.json'),
        (['{photo}', '--box-score', '2'], 'from 0 to 1'),
        (['{photo}', '--batch-size', '0'], '1 or more'),
    ],
)
def test_bad_input_is_one_line(base, predict, tmp_path, capsys, args, words):
    with pytest.raises(SystemExit) as e:
        predict(*(a.format(photo=base / 'photos/0.png') for a in args))
    lines = capsys.readouterr().err.strip().splitlines()
    assert e.value.code == 2 and lines[-1].startswith('error: ') and words in lines[-1]
    assert 'Traceback' not in '\n'.join(lines) and not list(tmp_path.rglob('*.jpg'))
