"""The exception for input that a user can correct, and explanations of system errors."""

from __future__ import annotations

import errno
import re
import traceback


class InputError(ValueError):
    """A file, argument or config entry that is not what was expected.

    The message is one line that names the file or argument, what was expected and what to do.
    The command-line tools print it without a traceback (set ``MSPOSE_TRACEBACK=1`` to see one).
    """


_MORE_ROOM = (
    'use fewer data-loading processes (..._dataloader.num_workers), or give them more '
    'memory (in a container: --shm-size)'
)
_MEANINGS = (
    (
        r'unable to allocate shared memory|unable to write to file </torch',
        f'shared memory is full; {_MORE_ROOM}',
    ),
    (
        r'DataLoader timed out after ([\d.]+) seconds',
        r'no batch of data for \1 seconds: shared memory is full, or the storage does not answer; '
        f'{_MORE_ROOM}, or raise default_hooks.loader_timeout.seconds',
    ),
    (
        r'DataLoader worker \(pid\S* ([\d, ]+)\) (is killed by signal: \w[\w ]+\w|exited '
        r'unexpectedly)',
        rf'data-loading process \1 \2; if memory ran out, {_MORE_ROOM}; a training continues with '
        '--resume',
    ),
    (
        r'A process in the process pool was terminated abruptly',
        f'a process was killed; if memory ran out, {_MORE_ROOM}',
    ),
    (
        r'(?i)connection (?:closed|reset) by peer|broken pipe|ncclRemoteError',
        'another process of this run has ended; its message says why',
    ),
)


_UNUSABLE = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
}
"""Error numbers of a place that is full, read-only or not a folder."""


def explain(error: Exception) -> str | None:
    """Say in one line what an error of the system, PyTorch's data loader or process group means.

    Args:
        error: the error.

    Returns:
        The line, with a remedy; None for any other error.
    """
    if isinstance(error, OSError) and error.errno in _UNUSABLE:
        # a place that was writable at the start may not be so at the end
        place = f'{error.filename}: ' if error.filename else ''
        return f'{place}{error.strerror}; check the permissions and the space there'
    if isinstance(error, (OSError, EOFError)) and any(
        frame.f_code.co_filename.endswith('torch/multiprocessing/reductions.py')
        for frame, _ in traceback.walk_tb(error.__traceback__)
    ):
        # killed while the main process was fetching a batch from it
        return (
            f'a data-loading process was killed; if memory ran out, {_MORE_ROOM}; a training '
            'continues with --resume'
        )
    if not isinstance(error, RuntimeError):
        return None
    for pattern, meaning in _MEANINGS:
        found = re.search(pattern, str(error))
        if found:
            return found.expand(meaning).strip()
    return None


def said(error: Exception) -> str:
    """Return an error's kind and what it says, in one line.

    Args:
        error: any; one from a data-loading process holds that process's traceback,
            whose last line counts.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if any('Original Traceback' in line for line in lines):
        return lines[-1]
    return f'{type(error).__name__}: {lines[0]}' if lines else type(error).__name__
