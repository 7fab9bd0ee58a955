"""Checkpoints that cannot run code, and that are written whole or not at all.

Reading: mmengine 0.10 calls ``torch.load`` without ``weights_only``; since torch 2.6 that refuses
mmengine's own checkpoints, and switching the check off would let a checkpoint run any code. The
loaders registered here go through ``restricted_pickle``. They stay in place whatever mmengine
does: their messages name the file and what it tried to call. The checksums of
the zip format, which PyTorch's reader passes over, are compared (about a second per gigabyte; the
legacy format has none), and a download that cannot be read does not stay in the cache.

Writing: the local storage back-end writes beside the target and renames.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import tarfile
import zipfile
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlparse

import torch
from mmengine.fileio import LocalBackend, register_backend
from mmengine.infer import BaseInferencer
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.runner import runner as mmengine_runner
from mmengine.runner.checkpoint import CheckpointLoader

from mspose_plugin.checkpoint import published, restricted_pickle
from mspose_plugin.utils.errors import InputError
from mspose_plugin.utils.files import TEMPORARY, write_atomically


class BrokenCheckpointError(InputError):
    """A file that is no checkpoint, or one that was cut off or damaged."""


class UnsafeCheckpointError(InputError):
    """A checkpoint whose pickle asks for something that no checkpoint needs."""


def load_checkpoint_file(path: str | os.PathLike, map_location: Any = None) -> Any:
    """Read a checkpoint file without letting it run code.

    Args:
        path: a file written by ``torch.save``.
        map_location: as in ``torch.load``. Defaults to None.

    Returns:
        The unpickled object, usually a dict.

    Raises:
        InputError: the file is missing.
        BrokenCheckpointError: it is cut short, damaged or not a checkpoint.
        UnsafeCheckpointError: its pickle asks for something that a checkpoint does not need; the
            message names it.
    """
    path = os.path.expanduser(os.fspath(path))
    if not os.path.isfile(path):
        remedy = (
            'this scheme is not known; download the file and give its path'
            if '://' in path
            else 'check the path'
        )
        raise InputError(f'checkpoint {path}: no such file; {remedy}')
    if os.environ.get('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '0').lower() in ('1', 'y', 'yes', 'true'):
        raise InputError(
            f'checkpoint {path}: unset TORCH_FORCE_WEIGHTS_ONLY_LOAD, with which '
            'mmengine\'s checkpoints cannot be read; they are read by a restricted '
            'unpickler that runs no code'
        )
    try:
        if path.endswith('.safetensors'):  # holds no pickle; torch.load knows it by its name
            return torch.load(path, map_location=map_location, weights_only=False)
        with open(path, 'rb') as f:
            _check_format(f, path)
            checkpoint = torch.load(
                f, map_location=map_location, weights_only=False, pickle_module=restricted_pickle
            )
    except restricted_pickle.Refused as e:
        what = ' '.join(str(e).split())[:200]
        raise UnsafeCheckpointError(
            f'checkpoint {path}: refused, its pickle asks for {what}, which no checkpoint needs '
            'and which could run code or use up the machine; take a file from a source that you '
            'trust, or ask for one saved with '
            "torch.save(dict(state_dict=model.state_dict()), 'clean.pth')"
        ) from None
    except (InputError, torch.OutOfMemoryError):
        raise
    except Exception as e:  # whatever the broken bytes lead to
        reason = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
        raise BrokenCheckpointError(
            f'checkpoint {path}: cannot be read ({reason}); if it was cut '
            'short, copy or download it again'
        ) from e
    return _without_code(checkpoint)


def _check_format(f: IO[bytes], path: str) -> None:
    """Let only the two formats of ``torch.save`` through; ``torch.load`` has more readers."""
    head = f.read(512).lstrip()
    f.seek(0)
    if not head:
        raise BrokenCheckpointError(
            f'checkpoint {path}: the file is empty; copy or download it again'
        )
    if head.startswith(b'PK\x03\x04'):
        if torch._C.PyTorchFileReader(f).has_record('constants.pkl'):
            raise BrokenCheckpointError(
                f'checkpoint {path}: a TorchScript archive, which holds '
                'code; give the checkpoint that it was exported from'
            )
        _check_records(f, path)
    elif re.match(rb'<(!doctype )?html', head, re.IGNORECASE):
        raise BrokenCheckpointError(
            f'checkpoint {path}: a web page, not a file of torch.save; the '
            'address may need a login: download the file with a browser'
        )
    elif head[:1] != b'\x80' or tarfile.is_tarfile(f):  # a pickle begins with 0x80
        raise BrokenCheckpointError(
            f'checkpoint {path}: not a file of torch.save; check the path, or copy it again'
        )
    f.seek(0)


def _check_records(f: IO[bytes], path: str) -> None:
    """Compare the CRC-32 of every record of the zip format; PyTorch writes them, but reads past."""
    with zipfile.ZipFile(f) as archive:
        records = archive.infolist()
        size = f.seek(0, os.SEEK_END)
        if (
            any(r.compress_type != zipfile.ZIP_STORED for r in records)
            or sum(r.file_size for r in records) > size
        ):
            raise UnsafeCheckpointError(
                f'checkpoint {path}: refused, its zip archive unpacks to '
                'more than the file, which torch.save never writes'
            )
        for record in records:
            if not record.CRC:  # saved with torch.serialization.set_crc32_options(False)
                continue
            try:
                with archive.open(record) as content:
                    while content.read(1 << 20):
                        pass
            except (zipfile.BadZipFile, EOFError) as e:
                raise BrokenCheckpointError(
                    f'checkpoint {path}: damaged, the checksum of its record {record.filename} '
                    'does not match; copy or download it again'
                ) from e


def _without_code(checkpoint: Any) -> Any:
    """Drop ``meta['config']``, Python text that mmengine's ``Runner.resume`` would execute.

    It is there in checkpoints of mmcv 1; mmengine looks for ``gpu_ids`` in it and writes its own
    text, which it does not execute, to ``meta['cfg']``.
    """
    meta = checkpoint.get('meta') if isinstance(checkpoint, dict) else None
    if isinstance(meta, dict):
        meta.pop('config', None)
    return checkpoint


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """:func:`load_checkpoint_file` under the name that mmengine's log line is cut from."""
    return load_checkpoint_file(filename, map_location)


def download(url: str, model_dir: str | None = None, progress: bool = True) -> Path:
    """Download a file to torch's hub cache, once.

    Args:
        url: address; of a publication (``published``), the file must have the
            published SHA-256, in the cache too.
        model_dir: folder. Defaults to ``checkpoints`` in torch's hub folder.
        progress: show a bar. Defaults to True.

    Returns:
        The file.

    Raises:
        InputError: the file cannot be downloaded.
        BrokenCheckpointError: it is another one than was published; it is removed.
    """
    cache = Path(model_dir or Path(torch.hub.get_dir()) / 'checkpoints')
    target = cache / os.path.basename(urlparse(url).path)
    if not target.exists():
        try:
            cache.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(target), progress=progress)
        except (OSError, HTTPException, ValueError) as e:
            raise InputError(
                f'checkpoint {url}: cannot be downloaded ({e}); check the address '
                f'and the network, or put the file at {target}'
            ) from e
    expected = published.sha256_of(url)
    if expected:
        with open(target, 'rb') as f:
            found = hashlib.file_digest(f, 'sha256').hexdigest()
        if not found.startswith(expected):
            target.unlink()
            raise BrokenCheckpointError(
                f'checkpoint {url}: cut off or not the published file (its SHA-256 begins with '
                f'{found[:8]}, not {expected}); {target} was removed, try again'
            )
    return target


def _load_url(
    url: str, model_dir: str | None = None, map_location: Any = None, progress: bool = True
) -> Any:
    """Download, then read as a local file; what cannot be read does not stay in the cache."""
    target = download(url, model_dir, progress)
    try:
        return load_checkpoint_file(target, map_location)
    except (BrokenCheckpointError, UnsafeCheckpointError) as e:
        if map_location != 'cpu' and _is_readable(target):
            raise  # nothing but the device is missing
        target.unlink(missing_ok=True)
        raise type(e)(f'{e} (downloaded from {url}; the file was removed)') from e


def _is_readable(path: Path) -> bool:
    try:
        load_checkpoint_file(path, 'cpu')
    except InputError:
        return False
    return True


def load_from_hourglass(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Load published weights by name, under the names that this project's networks have.

    Args:
        filename: ``hourglass://NAME``, see :mod:`mspose_plugin.checkpoint.published`.
        map_location: as in ``torch.load``. Defaults to None.

    Returns:
        A checkpoint as ``tools/convert_checkpoint.py`` writes it.

    Raises:
        InputError: an unknown name, or see :func:`download`.
    """
    from mspose_plugin.checkpoint.convert import (
        convert,  # needs MMPose, which this module is imported before
    )

    url = published.url_of(filename)
    return convert(mmengine_checkpoint.load_from_http(url, map_location)).checkpoint()


def _with_config(init_model: Callable) -> Callable:
    """Have an inferencer ask for a config where it would run the one in the checkpoint.

    mmengine executes the text in ``message_hub`` or ``meta``. Reading it as data would not help:
    the ``type`` of an entry may be any function of any module.
    """

    @functools.wraps(init_model)
    def checked(self, cfg: Any, weights: str | None, *args: Any, **kwargs: Any) -> Any:
        if not cfg:
            raise InputError(
                f'{type(self).__name__}: {weights} comes without a config; give the '
                'config file too, since the text that a checkpoint holds could run '
                'any code'
            )
        return init_model(self, cfg, weights, *args, **kwargs)

    checked.asks_for_config = True
    return checked


def _said_in_one_line(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``CheckpointLoader.load_checkpoint``: one line for an address that leads nowhere."""

    @functools.wraps(original)
    def load_checkpoint(filename: str, map_location: Any = None, logger: Any = 'current') -> Any:
        give = 'give the path of a file, or an address that begins with https://'
        loader = CheckpointLoader._get_checkpoint_loader(filename)
        if loader is load_from_local and '://' in filename:
            raise InputError(f'checkpoint {filename}: unknown scheme; {give}')
        try:
            return original(filename, map_location, logger)
        except InputError:
            raise
        except (KeyError, ImportError, ValueError) as e:
            reason = f'there is no {e}' if isinstance(e, KeyError) else str(e).splitlines()[0]
            raise InputError(f'checkpoint {filename}: {reason}; {give}') from e

    return load_checkpoint


class AtomicLocalBackend(LocalBackend):
    """mmengine's local back-end, except that a file appears whole or not at all.

    ``put`` and ``put_text`` write beside the target, flush to disk and rename; a process killed
    half-way leaves the previous file as it was.
    """

    def put(self, obj: bytes | memoryview, filepath: str | Path) -> None:
        """Write bytes to ``filepath`` as :func:`write_atomically` does."""
        write_atomically(filepath, obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text to ``filepath`` as :meth:`put` does."""
        self.put(obj.encode(encoding), filepath)


def remove_unfinished(folder: str | Path) -> None:
    """Remove what a killed process left of the checkpoints it was writing to ``folder``."""
    for name in ('*.pth', 'last_checkpoint'):
        for path in Path(folder).glob(TEMPORARY.format(name=name, pid='*')):
            path.unlink(missing_ok=True)


def find_latest_checkpoint(work_dir: str | os.PathLike) -> str | None:
    """Return the last finished checkpoint of a work directory.

    That is the one that ``last_checkpoint`` names, or a later one where the process was killed
    before it could write that name; the newest where the named one is gone. mmengine's function of
    this name returns what the file says, also where it is empty or the work directory was moved.

    Args:
        work_dir: where the run keeps its files.

    Returns:
        Its path, or None.
    """
    pointer = Path(work_dir, 'last_checkpoint')
    text = pointer.read_text(errors='replace').strip() if pointer.is_file() else ''
    places = (Path(text), Path(work_dir, Path(text).name)) if text else ()
    named = next((path for path in places if os.path.isfile(path)), None)  # no name is too odd
    if named is None:
        found = [*Path(work_dir).glob('epoch_*.pth'), *Path(work_dir).glob('iter_*.pth')]
        latest = max(found, key=lambda path: path.stat().st_mtime_ns, default=None)
        return str(latest) if latest else None
    # both later and further: neither what an earlier run left here, nor copied out of order
    written, step = pointer.stat().st_mtime_ns, _step(named)
    later = [
        path
        for path in named.parent.glob(re.sub(r'\d+(?=\.pth$)', '*', named.name))
        if path.stat().st_mtime_ns > written and _step(path) > step
    ]
    return str(max(later, key=_step, default=named))


def _step(path: Path) -> int:
    """The number at the end of a checkpoint's name, or -1."""
    digits = re.search(r'(\d+)\.pth$', path.name)
    return int(digits[1]) if digits else -1


def register() -> str:
    """Put the restricted loaders and the atomic back-end in mmengine's registries.

    Returns:
        What was registered, for :data:`mspose_plugin.compat.REPORT`.
    """
    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
    CheckpointLoader.load_checkpoint = staticmethod(
        _said_in_one_line(CheckpointLoader.load_checkpoint)
    )
    CheckpointLoader.register_scheme(
        prefixes=published.SCHEME, loader=load_from_hourglass, force=True
    )
    # every scheme that resolves to a URL (http, torchvision, open-mmlab, …) downloads by this name
    mmengine_checkpoint.load_url = _load_url
    mmengine_runner.find_latest_checkpoint = find_latest_checkpoint
    register_backend('local', AtomicLocalBackend, force=True, prefixes='')
    if not hasattr(BaseInferencer._init_model, 'asks_for_config'):
        BaseInferencer._init_model = _with_config(BaseInferencer._init_model)
    return 'checkpoints are read by a restricted unpickler and written by rename'
