"""The one exception type for input that a user can mend, and what some errors of PyTorch mean."""
from __future__ import annotations

import re


class InputError(ValueError):
    """A file, argument or config entry that is not what was expected.

    The message is one line that names the file or argument, what was expected and what to do.
    The command-line tools print it without a traceback (set ``MSPOSE_TRACEBACK=1`` to see one).
    """


_MORE_ROOM = ('use fewer data-loading processes (..._dataloader.num_workers), or give them more '
              'memory (in a container: --shm-size)')
_MEANINGS = (
    (r'unable to allocate shared memory|unable to write to file </torch',
     f'shared memory is full; {_MORE_ROOM}'),
    (r'DataLoader timed out after ([\d.]+) seconds',
     r'no batch of data for \1 seconds: shared memory is full, or the storage does not answer; '
     f'{_MORE_ROOM}, or raise default_hooks.loader_timeout.seconds'),
    (r'DataLoader worker \(pid\S* ([\d, ]+)\) (is killed by signal: \w[\w ]+\w|exited '
     r'unexpectedly)',
     rf'data-loading process \1 \2; if memory ran out, {_MORE_ROOM}; a training continues with '
     '--resume'),
    (r'(?i)connection (?:closed|reset) by peer|broken pipe|ncclRemoteError',
     'another process of this run has ended; its message says why'),
)


def explain(error: RuntimeError) -> str | None:
    """Say in one line what an error of PyTorch's data loader or process group means.

    Args:
        error (RuntimeError): the error.

    Returns:
        str | None: the line, with a remedy; None for any other error.
    """
    for pattern, meaning in _MEANINGS:
        found = re.search(pattern, str(error))
        if found:
            return found.expand(meaning).strip()
    return None
