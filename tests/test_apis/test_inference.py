"""MMPose's inference functions and inferencers on rotated, broken and unfitting input."""

import json
import logging
import os
from contextlib import nullcontext
from types import SimpleNamespace

import cv2
import mmcv
import numpy as np
import pytest
import tiny_run
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmpose.apis import MMPoseInferencer, inference_topdown, init_model
from mmpose.apis.inferencers import Pose2DInferencer
from mmpose.registry import MODELS
from PIL import Image

from mspose_plugin import compat
from mspose_plugin.apis import inference
from mspose_plugin.checkpoint.hooks import CheckpointFitHook
from mspose_plugin.utils.errors import InputError

pytestmark = pytest.mark.usefixtures('fresh_logger')


@pytest.fixture(scope='module')
def base(tmp_path_factory):
    """Return a folder with data, a config, and a checkpoint of its untrained network."""
    folder = tmp_path_factory.mktemp('base')
    tiny_run.write_model(folder)
    return folder


@pytest.fixture(scope='module')
def model(base):
    return init_model(str(base / 'tiny.py'), str(base / 'a.pth'), device='cpu')


@pytest.fixture(scope='module', params=[Pose2DInferencer, MMPoseInferencer])
def inferencer(request, base):
    return request.param(
        str(base / 'tiny.py'), str(base / 'a.pth'), det_model='whole_image', device='cpu'
    )


@pytest.fixture
def images(base, tmp_path):
    """Return a folder with images 0.png … 4.png."""
    folder = tmp_path / 'images'
    folder.mkdir()
    for i, path in enumerate(sorted((base / 'mpii/images').iterdir())[:5]):
        (folder / f'{i}.png').write_bytes(path.read_bytes())
    return folder


@pytest.fixture
def warnings():
    """Return the list that logged warnings go to."""
    lines, logger = [], MMLogger.get_current_instance()
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


def test_reported():
    assert compat.REPORT['mmpose.apis'].startswith('upright')


# ---------------------------------------------------------------- size of a rotated photo


@pytest.mark.parametrize(
    'orientation, ending', [*((o, 'jpg') for o in range(1, 9)), (6, 'png'), (6, 'webp')]
)
def test_default_box_is_that_of_the_image_as_it_is_decoded(model, tmp_path, orientation, ending):
    ramp = np.linspace(0, 255, 60 * 90 * 3).reshape(60, 90, 3).astype(np.uint8)
    exif, path = Image.Exif(), str(tmp_path / f'photo.{ending}')
    exif[0x0112] = orientation
    Image.fromarray(ramp).save(path, exif=exif)
    decoded = mmcv.imread(path)
    height, width = decoded.shape[:2]
    if ending == 'jpg':
        assert (height, width) == ((90, 60) if orientation > 4 else (60, 90))
    (from_path,) = inference_topdown(model, path)
    (from_array,) = inference_topdown(model, decoded)
    assert from_path.gt_instances.bboxes.tolist() == [[0, 0, width, height]]
    np.testing.assert_array_equal(
        from_path.pred_instances.keypoints, from_array.pred_instances.keypoints
    )


@pytest.mark.parametrize(
    'kind, words',
    [
        ('missing', 'No such file'),
        ('pipe', 'not a regular'),
        ('text', 'truncated, or not an image'),
    ],
)
def test_inference_topdown_with_the_path_of_no_image(model, tmp_path, kind, words):
    path = tmp_path / 'a.jpg'
    if kind == 'pipe':
        os.mkfifo(path)
    elif kind == 'text':
        path.write_text('no image')
    with pytest.raises(InputError, match=f'a.jpg: {words}'):
        inference_topdown(model, str(path))


# ---------------------------------------------------------------- weights


def other_architecture(base, path, change):
    checkpoint = torch.load(base / 'a.pth')
    change(checkpoint['state_dict'])
    torch.save(checkpoint, path)
    return str(path)


UNFITTING = {
    'nothing fits': (lambda s: (s.clear(), s.update(x=torch.zeros(1))), 'tensors missing'),
    'one missing': (lambda s: s.popitem(), '1 tensors missing'),
    'one more': (
        lambda s: s.update({'backbone.more': torch.zeros(1)}),
        '1 tensors unexpected, first backbone.more',
    ),
    'another shape': (lambda s: s.update({list(s)[0]: torch.zeros(9, 9)}), '1 tensors of another'),
}


def loaders(base):
    """Every way in which MMPose loads weights to predict with."""
    config = str(base / 'tiny.py')
    return {
        'init_model': lambda path, cfg=config: init_model(cfg, path, device='cpu'),
        'Pose2DInferencer': lambda path, cfg=config: (
            Pose2DInferencer(cfg, path, det_model='whole_image', device='cpu').model
        ),
        'MMPoseInferencer': lambda path, cfg=config: (
            MMPoseInferencer(cfg, path, det_model='whole_image', device='cpu').inferencer.model
        ),
    }


@pytest.mark.parametrize('loader', ['init_model', 'Pose2DInferencer', 'MMPoseInferencer'])
@pytest.mark.parametrize('case', UNFITTING)
def test_weights_of_another_architecture_are_refused_unless_asked_for(base, tmp_path, loader, case):
    change, words = UNFITTING[case]
    path = other_architecture(base, tmp_path / 'b.pth', change)
    with pytest.raises(InputError, match='does not fit the model') as e:
        loaders(base)[loader](path)
    assert str(e.value).startswith(f'checkpoint {path} ') and words in str(e.value)
    assert 'model.test_cfg.strict=False' in str(e.value) and '\n' not in str(e.value)
    lenient = tmp_path / 'lenient.py'
    lenient.write_text(f"_base_ = '{base}/tiny.py'\nmodel = dict(test_cfg=dict(strict=False))")
    state = loaders(base)[loader](path, str(lenient)).state_dict()
    given = torch.load(path)['state_dict']
    fitting = [k for k in state if k in given and state[k].shape == given[k].shape]
    assert all(torch.equal(state[key], given[key]) for key in fitting)


@pytest.mark.parametrize(
    'key',
    ['data_preprocessor.mean', 'head.loss_module.weight', 'head._extra_state', 'teacher.conv'],
)
def test_what_plays_no_part_in_a_prediction_is_let_through(base, tmp_path, key):
    path = other_architecture(
        base, tmp_path / 'b.pth', lambda state: state.update({key: torch.zeros(3)})
    )
    for load in loaders(base).values():
        load(path)


def test_testing_goes_by_the_same_word(base, tmp_path):
    path = other_architecture(base, tmp_path / 'b.pth', UNFITTING['one missing'][0])
    cfg = Config.fromfile(base / 'tiny.py').model
    for strict, outcome in (
        (True, pytest.raises(InputError, match='1 tensors missing')),
        (False, nullcontext()),
    ):
        cfg.test_cfg.strict = strict
        runner = SimpleNamespace(_train_loop={}, _load_from=path, model=MODELS.build(cfg))
        with outcome:
            CheckpointFitHook().after_load_checkpoint(runner, torch.load(path))


def test_weights_that_are_not_finite(base, tmp_path):
    path = other_architecture(
        base, tmp_path / 'b.pth', lambda state: state['backbone.stem.0.bias'].fill_(torch.nan)
    )
    for load in loaders(base).values():
        with pytest.raises(InputError, match='b.pth: 1 tensors are not finite, first backbone.st'):
            load(path)


def test_weights_alone_and_of_a_parallel_model_fit(base, tmp_path):
    state = torch.load(base / 'a.pth')['state_dict']
    torch.save({f'module.{key}': value for key, value in state.items()}, tmp_path / 'b.pth')
    loaded = init_model(str(base / 'tiny.py'), str(tmp_path / 'b.pth'), device='cpu').state_dict()
    assert all(torch.equal(loaded[key], state[key]) for key in state)


@pytest.mark.parametrize('content', [[1, 2], dict(state_dict=[1, 2]), dict(state_dict=3)])
def test_what_is_no_checkpoint(base, tmp_path, content):
    torch.save(content, tmp_path / 'b.pth')
    for load in loaders(base).values():
        with pytest.raises(InputError, match=f'{tmp_path}/b.pth holds a (list|int) in place'):
            load(str(tmp_path / 'b.pth'))


def test_training_from_other_weights_is_not_affected():
    from mmengine.runner import checkpoint, runner

    assert runner._load_checkpoint_to_model is checkpoint._load_checkpoint_to_model
    assert checkpoint._load_checkpoint_to_model.__module__ == 'mmengine.runner.checkpoint'


# ---------------------------------------------------------------- inputs of an inferencer


def keypoints(results):
    return [np.asarray(r['predictions'][0][0]['keypoints']) for r in results]


def inner(inferencer):
    return getattr(inferencer, 'inferencer', inferencer)


BROKEN = {
    'empty': lambda path: path.write_bytes(b''),
    'text': lambda path: path.write_text('no image'),
    'cut short': lambda path: path.write_bytes(path.read_bytes()[:-30]),
    'a pipe': lambda path: (path.unlink(), os.mkfifo(path)),
    'missing': lambda path: path.unlink(),
}


@pytest.mark.parametrize('how', BROKEN)
def test_a_broken_image_among_others(inferencer, images, tmp_path, warnings, how):
    paths = [str(images / f'{i}.png') for i in range(5)]
    whole = keypoints(inferencer(paths))
    BROKEN[how](images / '2.png')
    results = keypoints(inferencer(paths, out_dir=str(tmp_path / 'out')))
    np.testing.assert_array_equal(results, [whole[i] for i in (0, 1, 3, 4)])
    assert inner(inferencer).skipped == [2]
    named = [line for line in warnings if '2.png' in line]
    assert len(named) == 1 and named[0].startswith('skipped an input (1 so far): cannot read image')
    assert '1 of 5 inputs could not be read' in warnings[-1]
    written = {
        folder: sorted(p.stem for p in (tmp_path / 'out' / folder).iterdir())
        for folder in ('predictions', 'visualizations')
    }
    assert written == dict.fromkeys(written, ['0', '1', '3', '4'])
    for i in (0, 1, 3, 4):
        saved = json.loads((tmp_path / f'out/predictions/{i}.json').read_text())
        np.testing.assert_allclose(saved[0]['keypoints'], whole[i])


def test_a_folder_with_a_broken_image_and_files_of_other_kinds(inferencer, images):
    whole = keypoints(inferencer(str(images)))
    (images / '0.png').write_bytes(b'')
    (images / 'README').write_text('no ending')
    (images / 'notes.txt').write_text('no image')
    os.mkfifo(images / 'pipe.png')
    np.testing.assert_array_equal(keypoints(inferencer(images)), whole[1:])


def test_arrays_keep_their_numbers(inferencer, images, tmp_path, warnings):
    arrays = [cv2.imread(str(images / f'{i}.png')) for i in range(3)]
    arrays[1] = None
    arrays.append(np.zeros(4))
    assert len(list(inferencer(arrays, out_dir=str(tmp_path / 'out')))) == 2
    assert sorted(os.listdir(tmp_path / 'out/predictions')) == ['000000.json', '000002.json']
    assert 'input 1: no image: expected a NumPy array' in warnings[0]
    assert 'input 3: ' in warnings[1]


def test_one_broken_input_alone_and_nothing_but_broken_ones(inferencer, images):
    for i in range(2):
        (images / f'{i}.png').write_text('no image')
    with pytest.raises(InputError, match='cannot read image .*0.png: truncated, or not an image'):
        next(inferencer(str(images / '0.png')))
    with pytest.raises(InputError, match='none of the 2 inputs can be read, the last: .*1.png'):
        list(inferencer([str(images / '0.png'), str(images / '1.png')]))
    with pytest.raises(InputError, match='^input 0: no image: expected'):
        next(inferencer(np.zeros(4)))


@pytest.mark.parametrize(
    'name, words',
    [
        ('nowhere', 'no such file'),
        ('nowhere.png', 'no such file'),
        ('empty', 'no images in it'),
        ('notes', 'by its name'),
        ('notes.txt', 'by its name'),
        ('abc://x.png', "unknown scheme 'abc'"),
        ('broken.mp4', 'video cannot be read'),
    ],
)
def test_what_is_no_input(inferencer, tmp_path, monkeypatch, name, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'empty').mkdir()
    for file in ('notes', 'notes.txt', 'broken.mp4'):
        (tmp_path / file).write_text('no image')
    with pytest.raises(InputError, match=words) as e:
        next(inferencer(name))
    assert name in str(e.value)


def test_errors_of_the_model_are_not_taken_for_broken_images(inferencer, images, monkeypatch):
    def fail(*_):
        raise RuntimeError('out of order')

    monkeypatch.setattr(inner(inferencer), 'pipeline', fail)
    with pytest.raises(RuntimeError, match='out of order'):
        list(inferencer(str(images)))


# ---------------------------------------------------------------- video


@pytest.fixture
def video(tmp_path):
    """Return the path of a video of ten frames and where its JPEG frames begin."""
    path = tmp_path / 'video.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, (96, 96))
    for i in range(10):
        frame = np.full((96, 96, 3), 20, np.uint8)
        cv2.circle(frame, (10 + 8 * i, 48), 8, (255, 255, 255), -1)
        writer.write(frame)
    writer.release()
    data, at = path.read_bytes(), []
    while (found := data.find(b'\xff\xd8\xff', at[-1] + 1 if at else 0)) >= 0:
        at.append(found)
    assert len(at) == 10
    return path, at


def test_a_broken_frame_of_a_video(inferencer, video, tmp_path, warnings):
    path, at = video
    whole = keypoints(inferencer(str(path), out_dir=str(tmp_path / 'whole')))
    data = bytearray(path.read_bytes())
    data[at[4] : at[5] - 8] = bytes(at[5] - 8 - at[4])
    path.write_bytes(data)
    results = keypoints(inferencer(str(path), out_dir=str(tmp_path / 'out')))
    kept = [i for i in range(10) if i != 4]
    np.testing.assert_array_equal(results, [whole[i] for i in kept])
    assert 'frame 4: it cannot be decoded' in warnings[0] and '1 of 10 inputs' in warnings[-1]
    frames = json.loads((tmp_path / 'out/predictions/video.json').read_text())
    assert [frame['frame_id'] for frame in frames] == list(range(10))
    assert frames[4]['instances'] == []
    np.testing.assert_allclose(
        [frames[i]['instances'][0]['keypoints'] for i in kept], [whole[i] for i in kept]
    )
    drawn = cv2.VideoCapture(str(tmp_path / 'out/visualizations/video.avi'))
    assert drawn.get(cv2.CAP_PROP_FRAME_COUNT) == 9


def test_a_video_that_is_cut_short(inferencer, video, warnings):
    path, at = video
    path.write_bytes(path.read_bytes()[: at[6]])
    assert len(list(inferencer(str(path)))) == 6
    assert warnings == [f'input {path}: the video ends after 6 of 10 frames; it may be cut short']


def test_frames_of_a_video_that_does_not_know_their_number():
    class Capture:
        def __init__(self, *frames):
            self.frames = list(frames)

        def read(self):
            frame = self.frames.pop(0) if self.frames else None
            return frame is not None, frame

    for count in (-1, 0, 2, 3):
        assert list(inference._frames(Capture(1, 2, 3), count, 'x')) == [1, 2, 3]
    assert list(inference._frames(Capture(1, None, None, 3, None), 5, 'x')) == [1, None, None, 3]
