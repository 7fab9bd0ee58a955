"""Where files go: found out before any work is done whether they can be written there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from mmengine.fileio import BaseStorageBackend, get_file_backend

from mspose_plugin.utils.errors import InputError


def backend_of(path: str) -> BaseStorageBackend:
    """Return mmengine's storage back-end for a path or address.

    Args:
        path (str): of the local file system, or ``scheme://…``.

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
        path (str): the file; missing folders above it count as writable where the nearest that
            there is takes new files.
        *endings (str): what the name may end in, e.g. ``'.png'``; any where none is given.

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
        folder (str): as in :func:`check_writable_file`; need not exist.

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
