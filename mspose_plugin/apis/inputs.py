"""What can be predicted on: files, folders, patterns, addresses, videos, cameras, arrays."""

from __future__ import annotations

import glob
import mimetypes
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmpose.apis.inferencers import Pose2DInferencer
from PIL import Image, ImageOps

from mspose_plugin.datasets.annotations import Field, numeric, read_columns
from mspose_plugin.datasets.transforms.loading import to_bgr
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.files import by_number, read_json

BOX = dict(
    image_id=Field(
        lambda values: values if all(isinstance(v, int | str) for v in values) else None,
        'an integer or a file name',
    ),
    bbox=numeric(4),
    score=numeric(),
    category_id=numeric(default=1),
)
Source = tuple[str | None, Any]
"""Path of an image (or of its video), and what it is read from: the path, or an array."""


def is_single(inputs: Any) -> bool:
    """Tell a single image from several.

    Args:
        inputs: what is to be predicted on.
    """
    if isinstance(inputs, str | os.PathLike):
        name = os.fspath(inputs)
        if os.path.isfile(name):
            return not is_video(name)
        several = os.path.isdir(name) or has_frames(name)
        return not (several or glob.has_magic(name))
    if isinstance(inputs, np.ndarray):
        return inputs.ndim < 4
    return isinstance(inputs, Image.Image)


def is_video(name: str) -> bool:
    """Tell a video by its name.

    Args:
        name: of the file.
    """
    return (mimetypes.guess_type(name)[0] or '').startswith('video')


def has_frames(name: str) -> bool:
    """Tell a video or a camera, whose frames have numbers in place of names.

    Args:
        name: of the file, or ``'webcam:0'``.
    """
    return is_video(name) or is_camera(name)


def is_camera(name: str) -> bool:
    """Tell a camera, whose frames come when they come.

    Args:
        name: of the input.
    """
    return name.startswith('webcam')


def sources(inputs: Any, inferencer: Pose2DInferencer) -> Iterator[Source]:
    """Yield the images, one after the other.

    Args:
        inputs: as for :meth:`mspose_plugin.apis.predictor.PosePredictor.stream`.
        inferencer: MMPose's, which lists folders and reads videos.

    Raises:
        InputError: no such file, folder or camera.
    """
    if isinstance(inputs, str | os.PathLike):
        yield from _named(os.fspath(inputs), inferencer)
        return
    for single in [inputs] if is_single(inputs) else inputs:
        if isinstance(single, Image.Image):
            yield None, from_pil(single)
        elif isinstance(single, str | os.PathLike):
            yield os.fspath(single), os.fspath(single)
        else:
            yield None, single


def from_pil(image: Image.Image) -> np.ndarray:
    """Return a PIL image upright, ``[H, W, 3]``, uint8, BGR; alpha is ignored, as in files.

    Args:
        image: of any mode; of 16-bit images the upper 8 bits are kept.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith('I'):  # Pillow would cut the values off at 255
        return to_bgr(np.asarray(image).clip(0, 65535).astype(np.uint16))
    return np.ascontiguousarray(np.asarray(image.convert('RGB'))[..., ::-1])


def _named(name: str, inferencer: Pose2DInferencer) -> Iterator[Source]:
    if is_camera(name):
        yield from ((name, frame) for frame in _webcam(name))
    elif glob.has_magic(name) and not os.path.exists(name):
        files = sorted(glob.glob(name, recursive=True), key=by_number)
        check(files, f'input {name}: no file has such a name; check the pattern')
        yield from zip(files, files)
    else:
        images = inferencer._inputs_to_list(name)
        video = inferencer._video_input
        yield from ((name if video else image, image) for image in images)


def _webcam(name: str) -> Iterator[np.ndarray]:
    number = name.partition(':')[2] or '0'
    check(number.isdigit(), f'input {name}: expected webcam:NUMBER, such as webcam:0')
    capture = cv2.VideoCapture(int(number))
    check(capture.isOpened(), f'input {name}: this camera cannot be opened; try another number')
    try:
        while (grabbed := capture.read())[0]:
            yield grabbed[1]
    finally:
        capture.release()


def boxes_of(
    images: Iterable[Source], boxes: Iterable | str | None
) -> Iterator[tuple[Source, Any]]:
    """Yield each image with its boxes; None where the detector is to look.

    Args:
        images: from :func:`sources`.
        boxes: for each image an array, or a detector's file; None for none.

    Raises:
        InputError: fewer entries than images.
    """
    if isinstance(boxes, str):
        found = read_boxes(boxes)
        for number, image in enumerate(images):
            name = image[0] or ''
            keys = [_key(f'{name}:{number}'), _key(number)] if has_frames(name) else [_key(name)]
            yield image, next((found[key] for key in keys if key in found), np.zeros((0, 5)))
        return
    given = None if boxes is None else iter(boxes)
    for image in images:
        own = None if given is None else next(given, Ellipsis)
        check(
            own is not Ellipsis, 'boxes: fewer entries than images; give one array for each image'
        )
        yield image, own


def read_boxes(path: str) -> dict[str, np.ndarray]:
    """Read a detector's file in COCO's result format.

    Args:
        path: JSON, a list of dicts with ``image_id`` (a number as in COCO's file names, or a file
            name; in a video the frame's number from 0, or ``'video.mp4:NUMBER'``), ``bbox`` (x, y,
            width, height in pixels), ``score``, and perhaps ``category_id``: 1 is a person.

    Returns:
        Boxes ``[N, 5]``, x1, y1, x2, y2, score, by the image's file name without ending, or by
        ``'video.mp4:NUMBER'``.

    Raises:
        InputError: not such a file; the entry is named.
    """
    expected = "give a detector's boxes in COCO's result format"
    content = read_json(path, 'detector file', expected)
    boxes = read_columns(f'detector file {path!r}', 'box', content, BOX, expected)
    found = defaultdict(list)
    for image_id, (x, y, width, height), score, category in zip(*boxes.values()):
        if category == 1:
            found[_key(image_id)].append((x, y, x + width, y + height, score))
    return {name: np.array(boxes) for name, boxes in found.items()}


def _key(image_id: int | str) -> str:
    """Return what boxes of an image, or of a video's frame, are found by."""
    if isinstance(image_id, int):
        return f'{image_id:012d}'
    video, _, number = image_id.rpartition(':')
    return f'{Path(video).name}:{number}' if has_frames(video) else Path(image_id).stem
