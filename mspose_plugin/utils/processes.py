"""Work in processes of its own: they can use a GPU, and end with the process that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import torch

PATIENCE = 5
"""Seconds that a process has to end by itself."""


def context(preload: Sequence[str], gpu: bool | None = None) -> BaseContext:
    """Return how to start processes: forked from one that has the imports, unless for a GPU.

    mmengine looks for a GPU when it is imported, and CUDA does not work in what is forked later.

    Args:
        preload: modules whose import takes seconds.
        gpu: whether they compute on a GPU. Defaults to whether there is one.
    """
    if torch.cuda.is_available() if gpu is None else gpu:
        return multiprocessing.get_context('spawn')
    forking = multiprocessing.get_context('forkserver')
    forking.set_forkserver_preload(list(preload))
    return forking


def settle(log: Path | str) -> None:
    """Write what this process prints into a file, and end when the one that started it does.

    Args:
        log: the file; it is added to.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    handle = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for number in (1, 2):
        os.dup2(handle, number)
    sys.stdout, sys.stderr = (os.fdopen(n, 'w', buffering=1) for n in (1, 2))


def _end_with(parent: Any) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def generated(
    make: Callable[..., Iterator[Any]], *args: Any, log: Path, preload: Sequence[str] = ()
) -> Iterator[Callable[[float], Iterator[Any]]]:
    """Run a generator in a process of its own, from now on to the end of the block.

    Args:
        make: returns the generator; a function of a module.
        *args: its arguments.
        log: what it prints is added to this file.
        preload: see :func:`context`.

    Yields:
        What takes a time of ``time.monotonic`` and returns what the generator yields until then.
        It raises ``TimeoutError`` at that time, and ``ChildProcessError`` if the process fails.
    """
    how = context(preload)
    ours, theirs = how.Pipe(duplex=False)
    process = how.Process(  # type: ignore[attr-defined]
        target=_send, args=(theirs, make, args, str(log), os.getcwd())
    )
    process.start()
    theirs.close()

    def until(end: float) -> Iterator[Any]:
        while ours.poll(max(end - time.monotonic(), 0)):
            try:
                yield ours.recv()
            except EOFError:
                process.join()
                if process.exitcode:
                    message = f'its process ended with status {process.exitcode}; see {log}'
                    raise ChildProcessError(message) from None
                return
        raise TimeoutError(f'did not end in its time; see {log}')

    try:
        yield until
    finally:
        process.terminate()  # so that processes of its own end with it
        process.join(PATIENCE)
        process.kill()
        process.join()


def _send(
    pipe: Connection, make: Callable[..., Iterator[Any]], args: tuple, log: str, cwd: str
) -> None:
    os.chdir(cwd)
    settle(log)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        for item in make(*args):
            pipe.send(item)
    except Exception:
        traceback.print_exc()
        sys.exit(1)
