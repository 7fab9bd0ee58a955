"""Files: read with one line for what is wrong, written whole or not at all."""

from __future__ import annotations

import json
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.fileio import BaseStorageBackend, exists, get_file_backend, get_local_path
from scipy.io import loadmat

from mspose_plugin.utils.checks import check, refused
from mspose_plugin.utils.errors import InputError

TEMPORARY = '.{name}.{writer}.tmp'
"""Name of an unfinished file; hidden, so that no reader takes it for the file itself."""


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
    check(path and exists(path), f'{what} {path!r} not found; {remedy}')
    with get_local_path(path) as local:
        check(Path(local).is_file(), f'{what} {path!r} is not a file; {remedy}')
        check(Path(local).stat().st_size, f'{what} {path!r} is empty (0 bytes); {remedy}')
        yield local


def check_folder(path: str, what: str, remedy: str) -> None:
    """Refuse a local folder that does not exist; remote ones are not looked up.

    Args:
        path: the folder.
        what: what it is, for the message.
        remedy: what to do when it is missing.

    Raises:
        InputError: there is no such folder.
    """
    remote_or_there = not path or '://' in path or Path(path).is_dir()
    check(remote_or_there, f'{what} {path!r} not found; {remedy}')


def by_number(path: str) -> list[str | int]:
    """Return a key that sorts ``frame2.jpg`` before ``frame10.jpg``.

    Args:
        path: of a file.
    """
    parts: list[str | int] = [*re.split(r'(\d+)', path)]
    parts[1::2] = map(int, parts[1::2])
    return parts


def read_json(path: str, what: str, remedy: str) -> Any:
    """Read a JSON file in UTF-8.

    Args:
        path: as for :func:`local_file`.
        what: what the file is, for the message.
        remedy: what to do when it is missing or broken.

    Raises:
        InputError: no such file, no permission, or not JSON.
    """
    permission = refused(f'{what} {path!r} cannot be read', OSError, remedy='check its permissions')
    content = refused(f'{what} {path!r} is not JSON in UTF-8', remedy=remedy)
    with local_file(path, what, remedy) as local, content, permission:
        return json.loads(Path(local).read_text(encoding='utf-8'))


def read_mat(path: str, key: str, what: str, remedy: str, **options: Any) -> dict[str, np.ndarray]:
    """Read a MATLAB file.

    Args:
        path: as for :func:`local_file`.
        key: name of the variable that it must have.
        what: what the file is, for the message.
        remedy: what to do when it is missing or broken.
        **options: of :func:`scipy.io.loadmat`.

    Returns:
        All variables by name.

    Raises:
        InputError: no such file, no such variable, or not a MATLAB file up to version 7.
    """
    reading = refused(
        f'{what} {path!r} is not a readable MATLAB file up to version 7', remedy=remedy
    )
    with local_file(path, what, remedy) as local, reading:
        content = loadmat(local, **options)
    check(key in content, f'{what} {path!r} has no variable {key!r}; {remedy}')
    return content


def this_writer() -> str:
    """Return what tells a thread of a process from all others, for :data:`TEMPORARY`."""
    return f'{os.getpid()}-{threading.get_ident()}'


def write_atomically(path: str | os.PathLike, data: bytes | memoryview) -> None:
    """Write a local file that is complete whenever it exists, also after a power cut.

    The bytes go to a temporary file in the same folder, which is flushed to disk and renamed; a
    process killed half-way leaves the previous file as it was. Missing folders are made.

    Args:
        path: the file; a link stays a link, a device or pipe is written to directly.
        data: its content.

    Raises:
        OSError: it cannot be written; ``filename`` says which file.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(TEMPORARY.format(name=target.name, writer=this_writer()))
    special = target.exists() and not target.is_file()  # a folder is an error when it is opened
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target if special else temporary, 'wb') as f:
            f.write(data)
            f.flush()
            if not special:
                os.fsync(f.fileno())
        if not special:
            os.replace(temporary, target)
    except BaseException as e:
        temporary.unlink(missing_ok=True)
        if isinstance(e, OSError) and e.errno:  # a full disk does not say of which file
            e.filename = e.filename or str(path)
        raise


def write_file(path: str | os.PathLike, data: bytes) -> None:
    """Write a file, whole or not at all, to a path or to an address that takes files.

    Args:
        path: path or address; missing folders are made.
        data: its content.

    Raises:
        OSError: it cannot be written.
    """
    backend_of(os.fspath(path)).put(data, os.fspath(path))


def write_json(path: str | os.PathLike, content: Any, **options: Any) -> None:
    """Write a JSON file with :func:`write_file`; NumPy arrays and numbers become plain ones.

    Args:
        path: as for :func:`write_file`.
        content: what to write.
        **options: of :func:`json.dumps`.

    Raises:
        OSError: it cannot be written.
    """
    text = json.dumps(content, default=lambda value: value.tolist(), **options)
    write_file(path, f'{text}\n'.encode())


def backend_of(path: str) -> BaseStorageBackend:
    """Return mmengine's storage back-end for a path or address.

    Args:
        path: of the local file system, or ``scheme://…``.

    Raises:
        InputError: the scheme is unknown, or a package that it needs is missing.
    """
    try:
        return get_file_backend(path)
    except (KeyError, ImportError) as e:
        unknown = f'unknown scheme {e}; give a path, or an address that mmengine has a back-end for'
        raise InputError(f'{path}: {unknown if isinstance(e, KeyError) else e}') from e


def check_writable_file(path: str, *endings: str) -> None:
    """Refuse a file that could not be written, without writing it.

    Args:
        path: the file; missing folders above it count as writable if the nearest existing one
            takes new files.
        *endings: what the name may end in, e.g. ``'.png'``; anything if none is given.

    Raises:
        InputError: another ending, a folder of this name, or a place that takes no files.
    """
    named = not endings or path.lower().endswith(endings)
    check(named, f'{path}: expected a file name ending in {" or ".join(endings)}')
    if '://' in path:
        check(hasattr(backend_of(path), 'put'), f'{path}: nothing can be written to this address')
        return
    check(not os.path.isdir(path), f'{path}: this is a folder; expected the name of a file')
    check_writable_folder(os.path.dirname(os.path.realpath(path)))


def check_writable_folder(folder: str) -> None:
    """Refuse a folder that takes no files (read-only, full, below a file), without making it.

    Args:
        folder: as in :func:`check_writable_file`; need not exist.

    Raises:
        InputError: it takes no files, or is an address.
    """
    local = '://' not in folder or not backend_of(folder)
    check(local, f'{folder}: expected a folder of this machine; addresses cannot be written to')
    nearest = Path(os.path.realpath(folder))
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    what = f'{folder}: nothing can be written to {nearest}'
    with refused(what, OSError, remedy='choose another place, or make room'):
        # permission is not enough: the file system may be full or read-only
        with tempfile.TemporaryFile(dir=nearest) as f:
            f.write(bytes(4096))
            f.flush()
