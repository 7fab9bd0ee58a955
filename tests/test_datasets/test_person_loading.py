"""The part of an image that a crop shows, against the whole image decoded in full."""

import cv2
import numpy as np
import pytest
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from PIL import Image

from mspose_plugin.datasets.transforms import LoadPersonImage
from mspose_plugin.utils.errors import InputError

init_default_scope('mmpose')  # where a pipeline's step names are looked up

SIZE = (48, 64)
WIDTH, HEIGHT = 413, 307  # no multiples of 8


def scene():
    """Return waves longer than a crop's pixels, so that bilinear sampling skips nothing."""
    x, y = np.arange(WIDTH), np.arange(HEIGHT)[:, None]
    waves = [np.sin(x / 31 + y / 53), np.cos(x / 47 - y / 29), np.sin(x / 61) * np.cos(y / 41)]
    return (127 + 100 * np.stack(waves, axis=-1)).round().astype(np.uint8)


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Write the scene as it may come."""
    folder = tmp_path_factory.mktemp('images')
    rgb = Image.fromarray(scene()[..., ::-1])
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter to the right
    rgb.save(folder / 'upright.jpg', quality=98)
    rgb.transpose(Image.Transpose.ROTATE_90).save(folder / 'turned.jpg', quality=98, exif=turned)
    rgb.save(folder / 'lossless.png')
    Image.fromarray(scene()[..., 0]).save(folder / 'grey.jpg', quality=98)
    return folder


def person(path, center, scale, rotation=0.0):
    """Return a person whose crop is ``scale`` high."""
    center, half = np.float32([center]), np.float32([scale * 0.375, scale / 2])
    return dict(
        img_path=str(path),
        bbox=np.concatenate([center - half, center + half], axis=1),
        bbox_center=center,
        bbox_scale=2 * half[None],
        bbox_rotation=np.float32([rotation]),
        keypoints=(center + np.float32([[[0, 0], [9.25, -17.5], [-30, 21]]])),
        keypoints_visible=np.ones((1, 3), np.float32),
        flip_indices=[0, 2, 1],
    )


def crop(loader, flip, *args, **kwargs):
    """Return the results of a pipeline that ends with the crop."""
    steps = [loader, dict(type='RandomFlip', prob=float(flip)), dict(type='TopdownAffine')]
    steps[-1]['input_size'] = SIZE
    return Compose(steps)(person(*args, **kwargs))


WHOLE = dict(type='LoadImageChecked')
PART = dict(type='LoadPersonImage', input_size=SIZE, reduce=True)


@pytest.mark.parametrize('name', ['upright.jpg', 'turned.jpg', 'lossless.png', 'grey.jpg'])
@pytest.mark.parametrize('flip', [False, True])
@pytest.mark.parametrize(
    'center, scale, rotation',
    [
        ((201.3, 149.8), 60.0, 0.0),  # in full
        ((201.3, 149.8), 140.0, 25.0),  # at half
        ((150.0, 160.0), 270.0, -30.0),  # a quarter
        ((201.3, 149.8), 530.0, 10.0),  # an eighth, beyond the image
        ((395.0, 12.0), 150.0, 40.0),  # at a corner
    ],
)
def test_the_crop_shows_the_same(files, name, flip, center, scale, rotation):
    want, got = (
        crop(loader, flip, files / name, center, scale, rotation) for loader in (WHOLE, PART)
    )
    np.testing.assert_allclose(
        got['transformed_keypoints'], want['transformed_keypoints'], rtol=0, atol=2e-3
    )
    difference = got['img'].astype(float) - want['img']
    inside = cv2.erode((want['img'].max(-1) > 0).astype(np.uint8), np.ones((5, 5))) > 0
    assert inside.mean() > 0.1
    # a shift by half a pixel of the whole image changes more where waves are steepest
    steepest = np.abs(np.diff(want['img'][inside[:, :].any(1)].astype(float), axis=1)).mean()
    assert np.abs(difference[inside]).mean() < max(1.0, 0.15 * steepest)
    assert np.abs(difference[inside].mean()) < 0.3
    assert got['ori_shape'] == want['ori_shape'] == (HEIGHT, WIDTH)
    assert got['img_shape'][0] <= HEIGHT and got['flip'] == want['flip']


@pytest.mark.parametrize(
    'name, scale, factor',
    [
        ('upright.jpg', 127.0, 1),
        ('upright.jpg', 128.0, 2),
        ('upright.jpg', 256.0, 4),
        ('upright.jpg', 999.0, 8),
        ('grey.jpg', 256.0, 4),
        ('turned.jpg', 256.0, 1),
        ('lossless.png', 256.0, 1),
    ],
)
def test_no_more_is_decoded_than_the_crop_needs(files, name, scale, factor):
    given = person(files / name, (200.0, 150.0), scale)
    box, keypoints = given['bbox'], given['keypoints']
    out = LoadPersonImage(SIZE, reduce=True)(given)
    assert out['bbox_scale'][0, 1] == pytest.approx(scale / factor)
    height, width = out['img_shape']
    assert height <= min(scale, HEIGHT) / factor + 7 and width <= WIDTH / factor + 1
    sides = np.diff(out['bbox'].reshape(2, 2), axis=0)
    np.testing.assert_allclose(sides, np.diff(box.reshape(2, 2), axis=0) / factor, rtol=1e-4)
    steps = np.diff(out['keypoints'], axis=1) * factor
    np.testing.assert_allclose(steps, np.diff(keypoints, axis=1), rtol=1e-4)


@pytest.mark.parametrize('flip', [False, True])
def test_without_reduction_the_pixels_are_the_same(files, flip):
    """But for OpenCV's rounding of places to 1/32 pixel."""
    place = files / 'upright.jpg', (201.3, 149.8), 270.0, 25.0
    want, got = (crop(loader, flip, *place) for loader in (WHOLE, dict(PART, reduce=False)))
    difference = np.abs(got['img'].astype(int) - want['img'])
    assert difference.max() <= 2 and difference.mean() < 0.1


def test_arrays_and_people_outside_the_image(files):
    given = person(files / 'upright.jpg', (200.0, 150.0), 300.0)
    out = LoadPersonImage(SIZE)(dict(given, img=scene(), img_path=None))
    assert out['bbox_scale'][0, 1] == 300 and out['img_shape'][1] < WIDTH
    far = crop(PART, False, files / 'upright.jpg', (-900.0, 150.0), 100.0)
    assert not far['img'].any()


def test_what_it_refuses(files, tmp_path):
    with pytest.raises(InputError, match='after GetBBoxCenterScale'):
        LoadPersonImage(SIZE)(dict(img_path=str(files / 'upright.jpg')))
    with pytest.raises(InputError, match='input_size'):
        LoadPersonImage((0, 64))
    (tmp_path / 'broken.jpg').write_bytes((files / 'upright.jpg').read_bytes()[:3000])
    broken = person(tmp_path / 'broken.jpg', (200.0, 150.0), 300.0)
    assert LoadPersonImage(SIZE, skip_broken=True)(dict(broken)) is None
    with pytest.raises(InputError, match='truncated'):
        LoadPersonImage(SIZE)(broken)
