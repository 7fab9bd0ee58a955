"""``mspose predict``: pictures, videos and a file of results."""

import json

import cv2
import numpy as np
import pytest
import tiny_run

import mspose_command
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
    assert line == '4 persons; pictures are in predictions'
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
    assert predict(base / 'photos', '--boxes', 'boxes.json').startswith('2 persons')


@pytest.mark.parametrize(
    'args, words',
    [
        (['none.png'], 'none.png'),
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
