"""Checks that turn broken or missing annotation files into one-line messages."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.fileio import exists, get_local_path
from mmengine.logging import MMLogger
from scipy.io import loadmat

from mspose_plugin.utils.errors import InputError


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
    """Read a JSON file in UTF-8, or raise :class:`InputError` that names it."""
    with local_file(path, what, remedy) as local:
        try:
            return json.loads(Path(local).read_text(encoding='utf-8'))
        except OSError as e:
            raise InputError(
                f'{what} {path!r} cannot be read ({e.strerror}); check its permissions'
            ) from e
        except RecursionError as e:
            raise InputError(f'{what} {path!r} is nested too deeply; {remedy}') from e
        except ValueError as e:  # not UTF-8, or not JSON
            raise InputError(f'{what} {path!r} is not JSON in UTF-8 ({e}); {remedy}') from e


def read_mat(path: str, key: str, what: str, remedy: str, **options: Any) -> dict[str, np.ndarray]:
    """Read a MATLAB file.

    Args:
        path: the file.
        key: name of the variable that it must have.
        what: what the file is, for the message.
        remedy: what to do when it is missing or broken.
        **options: of :func:`scipy.io.loadmat`.

    Returns:
        All variables by name.

    Raises:
        InputError: no such file, no such variable, or not a MATLAB file up to version 7.
    """
    with local_file(path, what, remedy) as local:
        try:
            content = loadmat(local, **options)
        except Exception as e:  # SciPy raises whatever the broken bytes lead to
            raise InputError(
                f'{what} {path!r} is not a readable MATLAB file up to version 7 '
                f'({type(e).__name__}); {remedy}'
            ) from e
    if key not in content:
        raise InputError(f'{what} {path!r} has no variable {key!r}; {remedy}')
    return content


def numbers(value: Any, shape: tuple[int | None, ...]) -> np.ndarray | None:
    """Return ``value`` as finite float64 numbers of a shape (None: any length), or None."""
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        return None
    fits = (
        array.dtype.kind in 'biuf'
        and array.ndim == len(shape)
        and all(want in (None, have) for want, have in zip(shape, array.shape, strict=True))
    )
    return array.astype(np.float64) if fits and np.isfinite(array).all() else None


def report_unlearnable(
    ann_file: str, boxes: np.ndarray, keypoints: np.ndarray, visible: np.ndarray
) -> None:
    """Warn of training persons that cannot teach anything: their loss is 0 for ever.

    Such a person has no labelled keypoint in the square around its box, padded by 1.25, which a
    crop shows.

    Args:
        ann_file: the annotation file, for the message.
        boxes: ``[N, 4]`` person boxes x1, y1, x2, y2 in pixels, N > 0.
        keypoints: ``[N, K, 2]`` in pixels.
        visible: ``[N, K]``, non-zero where a keypoint is labelled.

    Raises:
        InputError: no person can teach anything.
    """
    centers = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
    reach = 1.25 / 2 * (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    inside = (np.abs(keypoints - centers) <= reach[:, None, None]).all(axis=2)
    idle = int((~(inside & (visible > 0)).any(axis=1)).sum())
    what = (
        f'{ann_file}: {idle} of {len(boxes)} persons have no labelled keypoint in their box, '
        'so that there is nothing to learn from them'
    )
    if idle == len(boxes):
        raise InputError(f'{what}; check that keypoints and boxes are pixels of the same image')
    if idle:
        MMLogger.get_current_instance().warning(what)


def warn_dropped(
    ann_file: str, dropped: int, total: int, reason: str, level: int = logging.WARNING
) -> None:
    """Log one line about persons that a dataset leaves out."""
    if dropped:
        # formatted here: mmengine drops warnings whose unformatted text it has seen
        MMLogger.get_current_instance().log(
            level, f'{ann_file}: left out {dropped} of {total} persons {reason}'
        )
