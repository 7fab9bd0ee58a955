"""Published hourglass weights by name: ``hourglass://bearpaw_hg8`` wherever MMPose takes a file.

The files belong to anibali/pytorch-stacked-hourglass, a fork of bearpaw/pytorch-pose (GPL-3), and
were trained on MPII (research use): they are downloaded, never redistributed. The eight digits in
a file's name are the beginning of its SHA-256, as torch.hub has it.
"""

from __future__ import annotations

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
    if name not in URLS:
        raise InputError(
            f'{address}: no such publication; there are '
            f'{", ".join(SCHEME + known for known in URLS)}'
        )
    return URLS[name]


def sha256_of(url: str) -> str:
    """Return the digits that the SHA-256 of a publication's file begins with, '' for others."""
    return url.rpartition('-')[2].partition('.')[0] if url in URLS.values() else ''
