"""One training run at a time in a work directory."""

from __future__ import annotations

import errno
import logging
import os
import socket
from pathlib import Path

from filelock import FileLock, Timeout
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import BaseLoop
from mmpose.registry import HOOKS

from mspose_plugin.utils.errors import InputError
from mspose_plugin.utils.together import raise_together

LOCK_FILE = 'train.lock'
"""Name of the lock in a work directory; the file stays, the lock on it does not."""
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


def lock_work_dir(work_dir: str | os.PathLike) -> FileLock | None:
    """Reserve a work directory, which is created where needed, for this process.

    The lock belongs to the process (``flock``): the system frees it however the process ends,
    SIGKILL included, and data-loading processes do not inherit it. On a network file system it
    holds between machines where the server does locking (NFS since Linux 2.6.12 with lockd).

    Args:
        work_dir: the folder.

    Returns:
        The lock, held as long as the object lives; the same object for another
        call in this process. None, with a warning, where the file system has no locks.

    Raises:
        InputError: another process trains there, or the folder cannot be written to.
    """
    path = Path(work_dir, LOCK_FILE)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(
            path, timeout=0, is_singleton=True, thread_local=False, fallback_to_soft=False
        )
        lock.acquire()
        path.write_text(_own_name())
    except Timeout:
        remedy = 'choose another --work-dir, or wait until it has ended'
        raise InputError(f'work_dir {work_dir} is in use by {_holder(path)}; {remedy}') from None
    except OSError as e:
        if e.errno not in _NO_LOCKS:
            problem = f'work_dir {work_dir}: cannot be written to ({e.strerror or e})'
            remedy = 'check its permissions and the free space, or choose another --work-dir'
            raise InputError(f'{problem}; {remedy}') from e
        problem = f'work_dir {work_dir}: its file system has no locks'
        remedy = 'make sure that no other training uses it'
        print_log(f'{problem}; {remedy}', 'current', logging.WARNING)
        return None
    return lock


def lock_together(work_dir: str | os.PathLike) -> FileLock | None:
    """Reserve a work directory for all processes of a run; the main one holds the lock.

    Args:
        work_dir: as for :func:`lock_work_dir`.

    Returns:
        As :func:`lock_work_dir`; None in the other processes.

    Raises:
        InputError: as :func:`lock_work_dir`, in every process.
    """
    lock = fault = None
    if is_main_process():
        try:
            lock = lock_work_dir(work_dir)
        except InputError as e:
            fault = str(e)
    raise_together(fault)
    return lock


def remove_own_lock(work_dir: str | os.PathLike) -> None:
    """Remove the lock file of a work directory if this process was the last to hold it."""
    path = Path(work_dir, LOCK_FILE)
    if _holder(path) == _own_name():
        path.unlink(missing_ok=True)


def _own_name() -> str:
    return f'process {os.getpid()} on {socket.gethostname()}'


def _holder(path: Path) -> str:
    try:
        return path.read_text(errors='replace')[:200] or 'another process'
    except OSError:
        return 'another process'


@HOOKS.register_module()
class WorkDirLockHook(Hook):
    """Keeps a second training run out of a work directory as long as the first one lasts.

    Two of them would delete each other's unfinished checkpoints and mix their finished ones. The
    main process holds the lock (see :func:`lock_together`); tests do not need it.

    Raises:
        InputError: before the training, in every process, when the directory is in use.
    """

    priority = 'VERY_HIGH'

    def before_run(self, runner) -> None:
        """Lock the work directory."""
        if not isinstance(runner._train_loop, BaseLoop):  # a dict when testing
            return
        self._lock = lock_together(runner.work_dir)

    def after_run(self, runner) -> None:
        """Release the work directory, for a process that goes on after its training."""
        lock = getattr(self, '_lock', None)
        if lock is not None:
            lock.release()
