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
