"""Checks that turn broken or missing annotation files into one-line messages."""
from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.fileio import exists, get_local_path
from mmengine.logging import MMLogger
from scipy.io import loadmat

from mspose_plugin.errors import InputError


@contextmanager
def local_file(path: str, what: str, remedy: str) -> Iterator[str]:
    """Give the local path of an annotation file that may lie on a remote file system.

    Args:
        path: path or URL, as mmengine's file backends take it.
        what: what the file is, for the message.
        remedy: what to do when it is missing.

    Raises:
        InputError: there is no such file, or it is empty.
    """
    if not path or not exists(path):
        raise InputError(f'{what} {path!r} not found; {remedy}')
    with get_local_path(path) as local:
        if not Path(local).is_file():
            raise InputError(f'{what} {path!r} is not a file; {remedy}')
        if not Path(local).stat().st_size:
            raise InputError(f'{what} {path!r} is empty (0 bytes); {remedy}')
        yield local


def require_folder(path: str, what: str, remedy: str) -> None:
    """Raise :class:`InputError` when a local folder is missing; remote ones are not looked up."""
    if path and '://' not in path and not Path(path).is_dir():
        raise InputError(f'{what} {path!r} not found; {remedy}')


def read_json(path: str, what: str, remedy: str) -> Any:
    """Read a JSON file, or raise :class:`InputError` that names it."""
    with local_file(path, what, remedy) as local:
        try:
            return json.loads(Path(local).read_bytes())
        except ValueError as e:  # not UTF-8, or not JSON
            raise InputError(f'{what} {path!r} is not JSON ({e}); {remedy}') from e


def read_mat(path: str, key: str, what: str, remedy: str, **options: Any) -> np.ndarray:
    """Read one variable of a MATLAB file.

    Args:
        path: the file.
        key: name of the variable.
        what: what the file is, for the message.
        remedy: what to do when it is missing or broken.
        **options: of :func:`scipy.io.loadmat`.

    Returns:
        The variable.

    Raises:
        InputError: no such file, no such variable, or not a MATLAB file up to version 7.
    """
    with local_file(path, what, remedy) as local:
        try:
            content = loadmat(local, variable_names=[key], **options)
        except Exception as e:  # SciPy raises whatever the broken bytes lead to
            raise InputError(f'{what} {path!r} is not a readable MATLAB file up to version 7 '
                             f'({type(e).__name__}); {remedy}') from e
    if key not in content:
        raise InputError(f'{what} {path!r} has no variable {key!r}; {remedy}')
    return content[key]


def check_coco_persons(ann_file: str, bbox_file: str | None = None,
                       score_thr: float = 0.) -> None:
    """Check that a COCO data set has persons; MMPose's own error for one without is a traceback.

    Args:
        ann_file: COCO's annotation file, or its ``image_info`` file when boxes come from a
            detector.
        bbox_file: a detector's results for the same images. None: the ground-truth boxes of
            persons with keypoints.
        score_thr: boxes of a lower score are left out.

    Raises:
        InputError: a file that cannot be read or has another format, no person at all, or a box
            in an image that ``ann_file`` does not list.
    """
    content = read_json(ann_file, 'annotation file', 'check ann_file')
    images = content.get('images') if isinstance(content, dict) else None
    persons = (content.get('annotations') or []) if images else None
    if not isinstance(images, list) or not isinstance(persons, list) or not all(
            isinstance(image, dict) and 'id' in image for image in images) or not all(
            isinstance(person, dict) for person in persons):
        raise InputError(f"annotation file {ann_file!r} has no 'images', each with an 'id', or no "
                         "list of 'annotations'; expected COCO's format")
    if not bbox_file:
        if not any(any((person.get('keypoints') or ())[2::3]) and not person.get('iscrowd')
                   for person in persons):
            raise InputError(f'annotation file {ann_file!r} has no person with keypoints; take '
                             'another one, or boxes from a detector (bbox_file) for testing')
        return
    remedy = "expected a person detector's boxes for the images of ann_file in COCO's result format"
    boxes = read_json(bbox_file, 'detector file', remedy)
    if not isinstance(boxes, list) or not all(map(_is_coco_box, boxes)):
        raise InputError(f'detector file {bbox_file!r} is not a list of image_id, category_id, '
                         f'bbox (4 numbers) and score; {remedy}')
    persons = [box for box in boxes if box['category_id'] == 1]
    listed = {image['id'] for image in images}
    foreign = [box['image_id'] for box in persons if box['image_id'] not in listed]
    if foreign:
        raise InputError(f'detector file {bbox_file!r}: {len(foreign)} of {len(persons)} boxes lie '
                         f'in images that {ann_file} does not list (first: image_id {foreign[0]}); '
                         'take the detector file that was made for these images')
    if not any(box['score'] >= score_thr for box in persons):
        raise InputError(f'detector file {bbox_file!r} has no box of a person (category_id 1) with '
                         f'a score of {score_thr} or more; {remedy}')


def _is_coco_box(box: Any) -> bool:
    return (isinstance(box, dict) and {'image_id', 'category_id', 'bbox', 'score'} <= box.keys()
            and isinstance(box['score'], (int, float)) and numbers(box['bbox'], (4,)) is not None)


def numbers(value: Any, shape: tuple[int | None, ...]) -> np.ndarray | None:
    """Return ``value`` as finite float64 numbers of a shape (None: any length), or None."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    fits = array.ndim == len(shape) and all(
        want in (None, have) for want, have in zip(shape, array.shape, strict=True))
    return array if fits and np.isfinite(array).all() else None


def warn_dropped(ann_file: str, dropped: int, total: int, reason: str) -> None:
    """Log one warning about persons that a dataset leaves out."""
    if dropped:
        # formatted here: mmengine drops warnings whose unformatted text it has seen
        MMLogger.get_current_instance().warning(
            f'{ann_file}: left out {dropped} of {total} persons {reason}')
