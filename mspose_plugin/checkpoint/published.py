"""Published hourglass weights by name: ``hourglass://bearpaw_hg8`` wherever MMPose takes a file.

The files belong to anibali/pytorch-stacked-hourglass, a fork of bearpaw/pytorch-pose (GPL-3), and
were trained on MPII (research use): they are downloaded, never redistributed. The eight digits in
a file's name are the beginning of its SHA-256, as torch.hub has it.
"""

from __future__ import annotations

import hashlib
import os
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from mmengine.runner import checkpoint as mmengine_checkpoint

from mspose_plugin.utils.checks import check, refused
from mspose_plugin.utils.errors import InputError

SCHEME = 'hourglass://'
_RELEASE = 'https://github.com/anibali/pytorch-stacked-hourglass/releases/download/v0.0.0/'
URLS: dict[str, str] = {
    'bearpaw_hg1': f'{_RELEASE}bearpaw_hg1-ce125879.pth',
    'bearpaw_hg2': f'{_RELEASE}bearpaw_hg2-15e342d9.pth',
    'bearpaw_hg8': f'{_RELEASE}bearpaw_hg8-90e5d470.pth',
}
"""Name -> address. 1, 2 and 8 stacks."""


def url_of(address: str) -> str:
    """Return where a publication's file is.

    Args:
        address: ``hourglass://NAME``; anything else is returned as it is.

    Raises:
        InputError: a name that is not in :data:`URLS`.
    """
    if not address.startswith(SCHEME):
        return address
    name = address.removeprefix(SCHEME)
    known = ', '.join(SCHEME + name for name in URLS)
    check(name in URLS, f'{address}: no such publication; there are {known}')
    return URLS[name]


def sha256_of(url: str) -> str:
    """Return the digits that the SHA-256 of a publication's file begins with, '' for others."""
    return url.rpartition('-')[2].partition('.')[0] if url in URLS.values() else ''


def download(url: str, model_dir: str | None = None, progress: bool = True) -> Path:
    """Download a file to torch's hub cache, once.

    Args:
        url: address; of a publication, the file must have the published SHA-256, in the cache too.
        model_dir: folder. Default: ``checkpoints`` in torch's hub folder.
        progress: show a bar. Default: True.

    Returns:
        The file.

    Raises:
        InputError: the file cannot be downloaded, or is not the one that was published (it is
            removed).
    """
    cache = Path(model_dir or Path(torch.hub.get_dir()) / 'checkpoints')
    with refused(f'checkpoint {url}: no valid address', ValueError, remedy='check the spelling'):
        target = cache / os.path.basename(urlparse(url).path)
    if not target.exists():
        remedy = f'check the address and the network, or put the file at {target}'
        errors = (OSError, HTTPException, ValueError)
        with refused(f'checkpoint {url}: cannot be downloaded', *errors, remedy=remedy):
            cache.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(target), progress=progress)
    expected = sha256_of(url)
    if expected:
        found = hashlib.sha256(target.read_bytes()).hexdigest()
        if not found.startswith(expected):
            target.unlink(missing_ok=True)  # another process may have seen it first
            raise InputError(
                f'checkpoint {url}: cut off or not the published file (its SHA-256 begins with '
                f'{found[:8]}, not {expected}); {target} was removed, try again'
            )
    return target


def load_from_hourglass(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Load published weights by name, under the names that this project's networks have.

    Args:
        filename: ``hourglass://NAME``.
        map_location: as in ``torch.load``. Default: None.

    Returns:
        A checkpoint as the converter writes it.

    Raises:
        InputError: an unknown name, or see :func:`download`.
    """
    from mspose_plugin.checkpoint.convert import convert  # needs MMPose; this comes before it

    url = url_of(filename)
    return convert(mmengine_checkpoint.load_from_http(url, map_location)).checkpoint()
