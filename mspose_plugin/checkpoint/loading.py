"""Checkpoints that cannot run code, whatever loads them.

mmengine 0.10 calls ``torch.load`` without ``weights_only``; since torch 2.6 that refuses mmengine's
own checkpoints, and switching the check off would let a checkpoint run any code. :func:`register`
has mmengine read every file, downloads included, through :func:`load_checkpoint_file`: PyTorch's
``weights_only`` unpickler (``unpickling``), with bounds (``pickle_scan``), and with the checksums
of the zip format, which PyTorch reads past (comparing them takes about a second per gigabyte).
"""

from __future__ import annotations

import functools
import io
import os
import pickle
import re
import zipfile
from collections.abc import Callable
from typing import IO, Any

import safetensors.torch
import torch
from mmengine.fileio import register_backend
from mmengine.infer import BaseInferencer
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.runner import runner as mmengine_runner
from mmengine.runner.checkpoint import CheckpointLoader
from torch.serialization import MAGIC_NUMBER, PROTOCOL_VERSION

from mspose_plugin.checkpoint import published, unpickling
from mspose_plugin.checkpoint.pickle_scan import scan
from mspose_plugin.checkpoint.saving import AtomicLocalBackend, find_latest_checkpoint
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.errors import InputError

_LEGACY = b''.join(pickle.dumps(number, 2) for number in (MAGIC_NUMBER, PROTOCOL_VERSION))
"""How a file of ``torch.save`` begins that is not a zip archive."""
_AGAIN = '; copy or download it again'
_EMPTY = f'the file is empty{_AGAIN}'
_OTHER = 'not a file of torch.save; check the path, or copy it again'
_PAGE = (
    'a web page, not a file of torch.save; the address may need a login: download the file with a '
    'browser'
)
_SCRIPT = 'a TorchScript archive, which holds code; give the checkpoint that it was exported from'


class BrokenCheckpointError(InputError):
    """A file that is no checkpoint, or one that was cut off or damaged."""


class UnsafeCheckpointError(InputError):
    """A checkpoint whose pickle asks for something that no checkpoint needs."""


def load_checkpoint_file(path: str | os.PathLike, map_location: Any = None) -> Any:
    """Read a checkpoint file without letting it run code.

    Args:
        path: a file written by ``torch.save``, or a state dict as ``.safetensors``.
        map_location: as in ``torch.load``. Default: None.

    Returns:
        What was saved, usually a dict.

    Raises:
        InputError: the file is missing.
        BrokenCheckpointError: it is cut short, damaged or not a checkpoint.
        UnsafeCheckpointError: its pickle asks for something that a checkpoint does not need; the
            message names it.
    """
    path = os.path.expanduser(os.fspath(path))
    check(os.path.isfile(path), f'checkpoint {path}: no such file; check the path')
    try:
        if path.endswith('.safetensors'):  # holds no pickle
            return safetensors.torch.load_file(path)
        with open(path, 'rb') as f:
            _inspect(f)
            f.seek(0)
            checkpoint = unpickling.load(f, map_location)
    except torch.OutOfMemoryError:
        raise
    except Exception as e:  # whatever the broken bytes lead to
        raise _explained(e, path) from e
    meta = checkpoint.get('meta') if isinstance(checkpoint, dict) else None
    if isinstance(meta, dict):
        # Python text that mmengine's Runner.resume would execute, in files of mmcv 1. mmengine
        # looks for gpu_ids in it; its own text, meta['cfg'], is not executed.
        meta.pop('config', None)
    return checkpoint


def _explained(error: Exception, path: str) -> InputError:
    """Return the error for whoever gave the file."""
    if isinstance(error, BrokenCheckpointError):
        return BrokenCheckpointError(f'checkpoint {path}: {error}')
    if isinstance(error, unpickling.Refused):
        return UnsafeCheckpointError(
            f'checkpoint {path}: refused, it asks for {_one_line(error)}, which no checkpoint '
            'needs and which could run code or use up the machine; take a file from a source that '
            'you trust, or ask for one saved with '
            "torch.save(dict(state_dict=model.state_dict()), 'clean.pth')"
        )
    return BrokenCheckpointError(
        f'checkpoint {path}: cannot be read ({_one_line(error)}); if it was cut short, copy or '
        'download it again'
    )


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def _inspect(f: IO[bytes]) -> None:
    """Look through a file; of the formats that PyTorch reads, the two of ``torch.save`` pass.

    Raises:
        BrokenCheckpointError, Refused: without the name of the file.
        Exception: whatever broken bytes lead to.
    """
    size = f.seek(0, os.SEEK_END)
    f.seek(0)
    head = f.read(512)
    if head.startswith(b'PK\x03\x04'):
        _inspect_archive(f, size)
        return
    if not head.startswith(_LEGACY):
        page = re.match(rb'\s*<(!doctype )?html', head, re.IGNORECASE)
        raise BrokenCheckpointError(_PAGE if page else _OTHER if head else _EMPTY)
    f.seek(len(_LEGACY))
    _, storages, _ = (scan(f, size) for _ in ('machine', 'content', 'names of storages'))
    if sum(storages.values()) > size:
        raise BrokenCheckpointError(f'cut short{_AGAIN}')


def _inspect_archive(f: IO[bytes], size: int) -> None:
    """Compare sizes and checksums of a zip file's records, and scan its pickle."""
    with zipfile.ZipFile(f) as archive:
        records = {r.filename.lower().partition('/')[2]: r for r in archive.infolist()}
        if 'constants.pkl' in records:
            raise BrokenCheckpointError(_SCRIPT)
        stored = all(r.compress_type == zipfile.ZIP_STORED for r in records.values())
        total = sum(r.file_size for r in archive.infolist())
        if not stored or total > size or len(records) < len(archive.infolist()):
            raise unpickling.Refused(
                'more room than the file (a compressed or overlapping archive)'
            )
        for record in records.values():
            # without a checksum: saved with torch.serialization.set_crc32_options(False)
            if record.CRC and not _is_intact(archive, record):
                wrong = f'the checksum of its record {record.filename} does not match'
                raise BrokenCheckpointError(f'damaged, {wrong}{_AGAIN}')
    f.seek(0)
    content = torch._C.PyTorchFileReader(f).get_record('data.pkl')  # as torch.load finds it
    for name, nbytes in scan(io.BytesIO(content), size).items():
        there = records.get(f'data/{name}')
        if nbytes > (there.file_size if there else 0):
            raise unpickling.Refused(f'a tensor larger than its record data/{name}')


def _is_intact(archive: zipfile.ZipFile, record: zipfile.ZipInfo) -> bool:
    try:
        with archive.open(record) as content:
            while content.read(1 << 20):
                pass
    except (zipfile.BadZipFile, EOFError):
        return False
    return True


# ---------------------------------------------------------------- for mmengine


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """:func:`load_checkpoint_file` under the name that mmengine's log line is cut from."""
    return load_checkpoint_file(filename, map_location)


def _load_url(
    url: str, model_dir: str | None = None, map_location: Any = None, progress: bool = True
) -> Any:
    """Download, then read as a local file; what cannot be read does not stay in the cache."""
    target = published.download(url, model_dir, progress)
    try:
        return load_checkpoint_file(target, map_location)
    except (BrokenCheckpointError, UnsafeCheckpointError) as e:
        if map_location != 'cpu' and _is_readable(target):
            raise  # nothing but the device is missing
        target.unlink(missing_ok=True)
        raise type(e)(f'{e} (downloaded from {url}; the file was removed)') from e


def _is_readable(path: os.PathLike) -> bool:
    try:
        load_checkpoint_file(path, 'cpu')
    except InputError:
        return False
    return True


def _with_config(init_model: Callable) -> Callable:
    """Have an inferencer ask for a config where it would run the one in the checkpoint.

    mmengine executes the text in ``message_hub`` or ``meta``. Reading it as data would not help:
    the ``type`` of an entry may be any function of any module.
    """
    why = 'give the config file too, since the text that a checkpoint holds could run any code'

    @functools.wraps(init_model)
    def checked(self, cfg: Any, weights: str | None, *args: Any, **kwargs: Any) -> Any:
        check(cfg, f'{type(self).__name__}: {weights} comes without a config; {why}')
        return init_model(self, cfg, weights, *args, **kwargs)

    return checked


def _said_in_one_line(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``CheckpointLoader.load_checkpoint``: one line for an address that leads nowhere."""
    give = 'give the path of a file, or an address that begins with https://'

    @functools.wraps(original)
    def load_checkpoint(filename: str, map_location: Any = None, logger: Any = 'current') -> Any:
        loader = CheckpointLoader._get_checkpoint_loader(filename)
        known = loader is not load_from_local or '://' not in filename
        check(known, f'checkpoint {filename}: unknown scheme; {give}')
        try:
            return original(filename, map_location, logger)
        except InputError:
            raise
        except (KeyError, ImportError, ValueError) as e:
            reason = f'there is no {e}' if isinstance(e, KeyError) else _one_line(e)
            raise InputError(f'checkpoint {filename}: {reason}; {give}') from e

    return load_checkpoint


def register() -> str:
    """Put these loaders and the atomic back-end in mmengine's registries.

    Returns:
        What was registered, for :data:`mspose_plugin.compat.REPORT`.
    """
    for prefix, loader in (
        ('', load_from_local),
        (published.SCHEME, published.load_from_hourglass),
    ):
        CheckpointLoader.register_scheme(prefixes=prefix, loader=loader, force=True)
    CheckpointLoader.load_checkpoint = staticmethod(
        _said_in_one_line(CheckpointLoader.load_checkpoint)
    )
    # every scheme that resolves to a URL (http, torchvision, open-mmlab, …) downloads by this name
    mmengine_checkpoint.load_url = _load_url
    mmengine_runner.find_latest_checkpoint = find_latest_checkpoint
    register_backend('local', AtomicLocalBackend, force=True, prefixes='')
    BaseInferencer._init_model = _with_config(BaseInferencer._init_model)
    return "checkpoints are read by PyTorch's weights_only unpickler and written by rename"
