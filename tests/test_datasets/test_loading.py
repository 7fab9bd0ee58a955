"""Image loading: kinds of images, broken files, counting, giving up."""

import logging
import os

import cv2
import numpy as np
import pytest
from mmengine.dataset import BaseDataset
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmpose.datasets.transforms import LoadImage
from mmpose.registry import TRANSFORMS

import mspose_plugin  # noqa: F401
from mspose_plugin.datasets.transforms import LoadImageChecked, loading
from mspose_plugin.utils.errors import InputError

pytestmark = pytest.mark.usefixtures('fresh_logger')

init_default_scope('mmpose')  # where a pipeline's step names are looked up


@pytest.fixture(autouse=True)
def fresh_counter(monkeypatch):
    """Count from zero in every test."""
    monkeypatch.setattr(loading, '_broken', dict(total=0, run=0))


@pytest.fixture
def warnings():
    """Return the list that logged warnings go to."""
    lines, logger = [], MMLogger.get_current_instance()
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


def picture(dtype=np.uint8, channels=3):
    """Return a smooth image with some noise, 60 x 80."""
    rng = np.random.default_rng(0)
    top = np.iinfo(dtype).max
    ramp = np.add.outer(np.arange(60), np.arange(80))[..., None] / 140
    ramp = ramp * [0.9, 0.5, 0.7, 1][:channels]
    noisy = np.clip(ramp + rng.normal(0, 0.02, ramp.shape), 0, 1) * top
    return noisy.astype(dtype).squeeze()


def encoded(ext='.jpg', img=None, *params):
    """Return an encoded image."""
    return cv2.imencode(ext, picture() if img is None else img, list(params))[1].tobytes()


def load(path, **kwargs):
    """Load a file."""
    return LoadImageChecked(**kwargs)(dict(img_path=str(path)))


@pytest.mark.parametrize('ext', ['.jpg', '.png', '.bmp', '.webp'])
def test_same_as_mmpose_for_good_files(tmp_path, ext):
    path = tmp_path / f'a{ext}'
    path.write_bytes(encoded(ext))
    ours, theirs = load(path), LoadImage()(dict(img_path=str(path)))
    np.testing.assert_equal(ours, theirs)
    assert load(path, to_float32=True)['img'].dtype == np.float32


@pytest.mark.parametrize(
    'dtype, channels',
    [(np.uint8, 1), (np.uint8, 4), (np.uint16, 1), (np.uint16, 3), (np.uint16, 4)],
)
@pytest.mark.parametrize('color_type', ['color', 'unchanged'])
def test_any_file_becomes_8_bit_bgr(tmp_path, dtype, channels, color_type):
    img = picture(dtype, channels)
    path = tmp_path / 'a.png'
    path.write_bytes(encoded('.png', img))
    got = load(path, color_type=color_type)['img']
    want = (img >> 8 if dtype == np.uint16 else img).astype(np.uint8)
    want = np.stack([want] * 3, axis=-1) if channels == 1 else want[..., :3]
    assert got.dtype == np.uint8 and got.shape == (60, 80, 3)
    np.testing.assert_allclose(got.astype(int), want, atol=1)  # rounding of 16 bit


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.int32, np.int64])
@pytest.mark.parametrize('channels', [1, 3, 4])
def test_any_array_becomes_bgr(dtype, channels):
    img = picture(np.uint16 if dtype == np.uint16 else np.uint8, channels).astype(dtype)
    results = LoadImageChecked()(dict(img=img))
    want = img >> 8 if dtype == np.uint16 else img
    want = np.stack([want] * 3, axis=-1) if channels == 1 else want[..., :3]
    np.testing.assert_array_equal(results['img'], want)
    assert results['img'].dtype == np.uint8 and results['img'].flags.c_contiguous
    assert results['img_shape'] == results['ori_shape'] == (60, 80)
    assert results['img_path'] is None


def test_arrays_that_need_no_change_are_not_copied():
    img = picture()
    assert LoadImageChecked()(dict(img=img))['img'] is img
    assert LoadImageChecked()(dict(img=img, img_path='a.jpg'))['img_path'] == 'a.jpg'
    values = img / 255.0  # float arrays keep their values
    np.testing.assert_allclose(LoadImageChecked()(dict(img=values))['img'], values, rtol=1e-6)
    mask = LoadImageChecked()(dict(img=img[..., 0] > 99))['img']
    assert set(np.unique(mask)) == {0, 255} and mask.shape == (60, 80, 3)


@pytest.mark.parametrize(
    'img, message',
    [
        ([[1, 2]], 'NumPy array .*got list'),
        (np.zeros((4, 4, 2)), r'\(4, 4, 2\)'),
        (np.zeros((0, 4, 3)), r'got float64 \(0, 4, 3\)'),
        (np.zeros(4), r'\(4,\)'),
        (np.full((4, 4), 256), '256'),
        (np.full((4, 4), -1), '-1'),
        (np.full((4, 4), 'a'), 'numbers, .* got <U1'),
    ],
)
@pytest.mark.parametrize('skip_broken', [False, True])
def test_arrays_that_are_no_images(img, message, skip_broken):
    with pytest.raises(InputError, match=message):
        LoadImageChecked(skip_broken=skip_broken)(dict(img=img))


KINDS = {
    'baseline': encoded(),
    'progressive': encoded('.jpg', None, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    'restart': encoded('.jpg', None, cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
    'png': encoded('.png'),
}


@pytest.mark.parametrize('kind', KINDS)
def test_truncated_anywhere(tmp_path, kind):
    data, path = KINDS[kind], tmp_path / 'a.jpg'
    for n in [0, 1, 2, 3, 10, *range(100, len(data), len(data) // 25), len(data) - 1]:
        path.write_bytes(data[:n])
        with pytest.raises(InputError, match=r'a\.jpg') as e:
            load(path)
        assert '\n' not in str(e.value)
    path.write_bytes(data)
    assert load(path)['img'].shape == (60, 80, 3)


def with_thumbnail(data, thumbnail):
    """Return a JPEG with another one in an application segment at its beginning."""
    body = b'Exif\0\0' + thumbnail
    return data[:2] + b'\xff\xe1' + (len(body) + 2).to_bytes(2, 'big') + body + data[2:]


def test_thumbnails_and_appended_data_do_not_deceive(tmp_path):
    path, data = tmp_path / 'a.jpg', with_thumbnail(encoded(), encoded(img=picture()[:16, :16]))
    for tail in (b'', b'\0' * 9, b'\xff\xda', b'\xff\xda\xff\xd9', encoded()[:-50]):
        path.write_bytes(data + tail)
        assert load(path)['img'].shape == (60, 80, 3), tail
    path.write_bytes(data[:-300])
    with pytest.raises(InputError, match='truncated'):
        load(path)
    path.write_bytes(encoded('.png') + b'\0\0')
    assert load(path)['img'].shape == (60, 80, 3)


@pytest.mark.parametrize(
    'content', [b'<html>not found</html>', b'\xff\xd8\xff\xd9', b'\x89PNG\r\n\x1a\nIEND']
)
def test_not_an_image(tmp_path, content):
    (tmp_path / 'a.jpg').write_bytes(content)
    with pytest.raises(InputError, match=r'a\.jpg: truncated, or not an image'):
        load(tmp_path / 'a.jpg')


def test_missing_file_and_folder(tmp_path, warnings):
    for path in (tmp_path / 'no.jpg', tmp_path):
        with pytest.raises(InputError, match='cannot read image.*data_prefix'):
            load(path)
        assert load(path, skip_broken=True) is None
        assert load(path, ignore_empty=True) is None
    assert len(warnings) == 4 and '(4 so far in this process)' in warnings[-1]


def test_training_goes_on_with_another_image(tmp_path, warnings):
    (tmp_path / 'good.jpg').write_bytes(encoded())
    (tmp_path / 'bad.jpg').write_bytes(encoded()[:-100])

    class Pictures(BaseDataset):
        def load_data_list(self):
            return [dict(img_path=str(tmp_path / name)) for name in ('good.jpg', 'bad.jpg')]

    pipeline = [TRANSFORMS.build(dict(type='LoadImageChecked', skip_broken=True))]
    dataset = Pictures(pipeline=pipeline)
    assert dataset[1]['img_path'].endswith('good.jpg')
    assert warnings[0].startswith(f'skipped broken image {tmp_path}/bad.jpg (1 so far')
    assert 'truncated' in warnings[0]
    test = Pictures(pipeline=[TRANSFORMS.build(dict(type='LoadImageChecked'))], test_mode=True)
    with pytest.raises(InputError, match='bad.jpg.*truncated'):
        test[1]

    (tmp_path / 'good.jpg').unlink()  # nothing is left: say so, and do not flood the log
    with pytest.raises(InputError, match='more than 100 broken images in a row'):
        dataset[0]
    assert len(warnings) <= 12


def test_a_good_image_ends_the_run(tmp_path, warnings):
    (tmp_path / 'good.jpg').write_bytes(encoded())
    for _ in range(3):
        for _ in range(loading.MAX_BROKEN_RUN):
            load(tmp_path / 'no.jpg', skip_broken=True)
        load(tmp_path / 'good.jpg', skip_broken=True)
    assert len(warnings) == 10 + 3 and '(300 so far' in warnings[-1]


def test_repr_and_old_argument():
    assert repr(LoadImageChecked(skip_broken=True)).endswith('skip_broken=True)')
    with pytest.raises(InputError, match='backend_args'):
        LoadImageChecked(file_client_args=dict(backend='disk'))


@pytest.mark.parametrize(
    'kind, words',
    [
        ('pipe', 'not a regular file'),
        ('folder', 'not a regular file'),
        ('abc://x.png', "unknown scheme 'abc'"),
        ('s3://x.png', 'petrel_client'),
    ],
)
def test_what_is_no_file(tmp_path, kind, words):
    path = kind if '://' in kind else tmp_path / 'a.png'
    if kind == 'pipe':
        os.mkfifo(path)  # reading would wait for a writer
    elif kind == 'folder':
        path.mkdir()
    with pytest.raises(InputError, match=f'cannot read image .*{words}'):
        load(path)
    assert load(path, skip_broken=True) is None
