"""What visitors send: any image upright and in colour, and a sentence for all that is none."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from mspose_plugin.utils.errors import InputError
from mspose_plugin.web.uploads import Limits, read_upload

PICTURE = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)
LIMITS = Limits(megabytes=0.1, megapixels=0.01)


def saved(path, image, **options):
    image.save(path, **options)
    return str(path)


@pytest.mark.parametrize('ending', ['png', 'bmp', 'tiff', 'webp', 'gif', 'jpg'])
def test_formats(ending, tmp_path):
    flat = Image.new('RGB', (40, 30), (200, 100, 50))
    image, note = read_upload(saved(tmp_path / f'a.{ending}', flat), LIMITS)
    assert image.shape == (30, 40, 3) and image.dtype == np.uint8 and not note
    assert np.abs(image.astype(int) - (50, 100, 200)).max() <= 3  # BGR


def test_the_rotation_that_a_camera_notes(tmp_path):
    image = Image.fromarray(PICTURE)
    exif = image.getexif()
    exif[0x0112] = 6
    turned, _ = read_upload(saved(tmp_path / 'a.png', image, exif=exif), LIMITS)
    assert np.array_equal(turned, np.rot90(PICTURE, -1)[..., ::-1])


def test_alpha_grey_palette_and_sixteen_bits(tmp_path):
    grey = PICTURE[..., 0]
    alpha = np.dstack([PICTURE, grey])
    cv2.imwrite(str(tmp_path / '16.png'), grey.astype(np.uint16) * 256 + 99)
    for image, expected in (
        (Image.fromarray(grey), np.dstack([grey] * 3)),
        (Image.fromarray(alpha), PICTURE[..., ::-1]),
        (Image.fromarray(np.dstack([grey, grey])), np.dstack([grey] * 3)),
        (Image.open(tmp_path / '16.png'), np.dstack([grey] * 3)),
        (Image.fromarray(grey > 127), np.dstack([(grey > 127) * np.uint8(255)] * 3)),
    ):
        found, _ = read_upload(saved(tmp_path / 'a.png', image), LIMITS)
        assert np.array_equal(found, expected), image.mode


@pytest.mark.parametrize('ending', ['gif', 'webp', 'png'])
def test_the_first_picture_of_an_animation(ending, tmp_path):
    frames = [Image.new('RGB', (40, 30), colour) for colour in ('red', 'blue', 'lime')]
    path = saved(tmp_path / f'a.{ending}', frames[0], save_all=True, append_images=frames[1:])
    image, note = read_upload(path, LIMITS)
    assert np.abs(image.astype(int) - (0, 0, 255)).max() <= 8
    assert note == 'The first picture of an animation.'


def test_too_large(tmp_path):
    path = tmp_path / 'a.bmp'
    Image.new('RGB', (300, 200)).save(path)
    with pytest.raises(InputError, match=r'0\.2 MB, more than the 0\.1 MB'):
        read_upload(str(path), LIMITS)
    path = saved(tmp_path / 'a.png', Image.new('1', (200, 100)))
    with pytest.raises(InputError, match='200 x 100 pixels, 0 megapixels, more than the 0.01'):
        read_upload(path, LIMITS)


def bomb(width, height):
    """Return a PNG file of a few bytes that says to be an image of any size."""

    def chunk(kind, data):
        return (
            struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        )

    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    parts = (chunk(b'IHDR', header), chunk(b'IDAT', data), chunk(b'IEND', b''))
    return b'\x89PNG\r\n\x1a\n' + b''.join(parts)


@pytest.mark.parametrize('side', [8000, 30000, 2**31 - 1])
def test_bombs_are_not_decoded(side, tmp_path, monkeypatch):
    (tmp_path / 'a.png').write_bytes(bomb(side, side))
    monkeypatch.setattr(Image.Image, 'load', lambda image: pytest.fail('decoded'))
    with pytest.raises(InputError, match='more than the 50 megapixels'):
        read_upload(str(tmp_path / 'a.png'), Limits())


def encoded(kind):
    data = io.BytesIO()
    Image.fromarray(PICTURE).save(data, kind)
    return data.getvalue()


@pytest.mark.parametrize(
    'data, words',
    [
        (b'', 'no image'),
        (b'<html>log in</html>', 'no image'),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', 'no image'),
        (b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n', 'no image'),
        (bytes(range(256)) * 9, 'no image'),
        (encoded('JPEG')[:-300], 'broken or incomplete'),
        (encoded('PNG')[:-500], 'broken or incomplete'),
        (encoded('GIF')[:100], 'no image, or a broken one'),
        (encoded('GIF')[:-500], 'broken or incomplete'),
        (bomb(40, 30), 'broken or incomplete'),
    ],
)
def test_what_is_no_image(data, words, tmp_path):
    (tmp_path / 'a.jpg').write_bytes(data)
    with pytest.raises(InputError, match=words):
        read_upload(str(tmp_path / 'a.jpg'), LIMITS)
