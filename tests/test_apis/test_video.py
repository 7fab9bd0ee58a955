import cv2
import numpy as np
import pytest

from mspose_plugin.apis.video import VideoWriter, frame_rate
from mspose_plugin.utils.errors import InputError


def frames(count):
    return [np.full((48, 64, 3), 40 * i, np.uint8) for i in range(count)]


def test_round_trip(tmp_path):
    path = tmp_path / 'new' / 'v.mp4'
    with VideoWriter(str(path), 12.5) as video:
        for frame in frames(5):
            video.write(frame)
            assert not path.exists()  # until it is complete
    assert [p.name for p in path.parent.iterdir()] == ['v.mp4']
    assert frame_rate(str(path)) == (12.5, 5)
    capture = cv2.VideoCapture(str(path))
    for frame in frames(5):
        assert np.abs(capture.read()[1].astype(int) - frame).max() < 10


def test_odd_sizes_lose_nothing(tmp_path):
    frame = np.random.default_rng(0).integers(0, 255, (5, 7, 3)).astype(np.uint8)
    frame = cv2.resize(frame, (97, 75), interpolation=cv2.INTER_NEAREST)
    with VideoWriter(str(tmp_path / 'v.mp4'), 25) as video:
        video.write(frame)
    found = cv2.VideoCapture(str(tmp_path / 'v.mp4')).read()[1]
    assert found.shape == (76, 98, 3)
    assert np.abs(found[:75, :97].astype(int) - frame).mean() < 20


def test_frames_of_one_size_only(tmp_path):
    with pytest.raises(InputError, match='64x24 among those of 64x48'):
        with VideoWriter(str(tmp_path / 'v.mp4'), 25) as video:
            video.write(frames(1)[0])
            video.write(frames(1)[0][:24])
    assert not list(tmp_path.iterdir())


def test_an_error_leaves_the_previous_file(tmp_path):
    (tmp_path / 'v.mp4').write_bytes(b'before')
    with pytest.raises(KeyError), VideoWriter(str(tmp_path / 'v.mp4'), 25) as video:
        video.write(frames(1)[0])
        raise KeyError
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b'before']


def test_without_frames_there_is_no_file(tmp_path):
    with VideoWriter(str(tmp_path / 'v.mp4'), 25):
        pass
    assert not list(tmp_path.iterdir())
    assert frame_rate(str(tmp_path / 'v.mp4')) == (25.0, None)
