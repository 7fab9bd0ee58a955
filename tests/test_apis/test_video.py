import cv2
import numpy as np
import pytest

from mspose_plugin.apis.video import VideoWriter, frame_rate


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
