"""Files: broken or missing ones are one line, places to write to are looked at early."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.fileio import BaseStorageBackend, exists, get_file_backend, get_local_path
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


def backend_of(path: str) -> BaseStorageBackend:
    """Return mmengine's storage back-end for a path or address.

    Args:
        path: of the local file system, or ``scheme://…``.

    Raises:
        InputError: the scheme is unknown, or a package that it needs is missing.
    """
    try:
        return get_file_backend(path)
    except KeyError as e:
        raise InputError(
            f'{path}: unknown scheme {e}; give a path, or an address of a kind that '
            'mmengine has a storage back-end for'
        ) from e
    except ImportError as e:
        raise InputError(f'{path}: {e}') from e


def check_writable_file(path: str, *endings: str) -> None:
    """Refuse a file that could not be written, without writing it.

    Args:
        path: the file; missing folders above it count as writable where the nearest that
            there is takes new files.
        *endings: what the name may end in, e.g. ``'.png'``; any where none is given.

    Raises:
        InputError: another ending, a folder of this name, or a place that takes no files.
    """
    if endings and not path.lower().endswith(endings):
        raise InputError(f'{path}: expected a file name ending in {" or ".join(endings)}')
    if '://' in path:
        if not hasattr(backend_of(path), 'put'):
            raise InputError(f'{path}: nothing can be written to this kind of address')
        return
    if os.path.isdir(path):
        raise InputError(f'{path}: this is a folder; expected the name of a file')
    check_writable_folder(os.path.dirname(os.path.realpath(path)))


def check_writable_folder(folder: str) -> None:
    """Refuse a folder that takes no files (read-only, full, below a file), without making it.

    Args:
        folder: as in :func:`check_writable_file`; need not exist.

    Raises:
        InputError: it takes no files, or is an address.
    """
    if '://' in folder:
        backend_of(folder)
        raise InputError(
            f'{folder}: expected a folder of this machine; nothing can be written to an address'
        )
    nearest = Path(os.path.realpath(folder))
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    try:
        # a permission is not enough: the file system may be full or read-only
        with tempfile.TemporaryFile(dir=nearest) as f:
            f.write(bytes(4096))
            f.flush()
    except OSError as e:
        raise InputError(
            f'{folder}: nothing can be written to {nearest} ({e.strerror}); choose '
            'another place, or make room'
        ) from e
