"""The start of a run, up to its first step: it succeeds, or leaves nothing but one line.

mmengine makes the work directory before it looks at a config, and builds optimizer, schedulers and
loops last. A wrong entry therefore shows late, in the words of the component that takes it. Until
the first step is done, every such error becomes one line, and what mmengine wrote is removed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from mspose_plugin.engine.hooks.work_dir_lock_hook import lock_together, remove_own_lock
from mspose_plugin.utils.errors import InputError, explain, said
from mspose_plugin.utils.files import check_writable_folder

STEPS = ('after_train_iter', 'after_val_iter', 'after_test_iter')


class StartingRunner(Runner):
    """mmengine's runner, available before it is complete, which knows whether it has done a step.

    Not before that it writes its copy of the config, which may take the place of another run's.

    Args:
        *args: as mmengine's.
        **kwargs: as mmengine's.
    """

    latest: StartingRunner | None = None
    stepped = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        StartingRunner.latest = self
        super().__init__(*args, **kwargs)

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """Call the hooks of one place."""
        super().call_hook(fn_name, **kwargs)
        if not self.stepped and fn_name in STEPS:
            self.stepped = True
            self.dump_config()

    def dump_config(self) -> None:
        """Write the copy of the config into the work directory, once there is a step."""
        if self.stepped:
            super().dump_config()


class TrainingRunner(StartingRunner):
    """The runner of a training, which reserves the work directory before it writes there."""

    def setup_env(self, env_cfg: dict) -> None:
        """Join the other processes, and refuse a folder that another run uses."""
        super().setup_env(env_cfg)
        self._lock = lock_together(self.work_dir)


@contextlib.contextmanager
def starting(cfg: Config) -> Iterator[None]:
    """Turn what goes wrong before a :class:`StartingRunner`'s first step into one line.

    The block holds the whole run. If it fails before its first step, what it wrote is removed: its
    log folder, its lock if it was not there before, and the folders that it made. Later errors pass
    unchanged, and everything stays.

    Args:
        cfg: run config with ``filename`` and ``work_dir``.

    Raises:
        InputError: nothing can be written to the work directory, or anything went wrong; the
            message names the config and, where the error is none of this package's, its kind and
            the method of the Runner that it comes from, such as ``build_optim_wrapper``.
    """
    check_writable_folder(cfg.work_dir)
    place = Path(os.path.abspath(cfg.work_dir))
    missing = [path for path in (place, *place.parents) if not path.exists()]
    StartingRunner.latest = None
    try:
        yield
    except Exception as e:
        runner = StartingRunner.latest
        if runner is not None and runner.stepped:
            raise
        if is_main_process():
            _remove_traces(runner, missing)
        if isinstance(e, InputError) or explain(e):
            raise
        where = f'in {_place(e)}; MSPOSE_TRACEBACK=1 shows more'
        raise InputError(f'config {cfg.filename}: {said(e)} ({where})') from e
    finally:
        StartingRunner.latest = None


def _remove_traces(runner: Any, missing: list[Path]) -> None:
    """Remove what a run that did not start has written.

    Args:
        runner: the runner, perhaps incomplete; None if there is none.
        missing: folders that were not there before, the work directory and those above it.
    """
    if hasattr(runner, '_log_dir'):
        shutil.rmtree(runner._log_dir, ignore_errors=True)
    if missing:
        remove_own_lock(missing[0])
    for path in missing:
        with contextlib.suppress(OSError):  # it holds files of others
            path.rmdir()


def _place(error: Exception) -> str:
    """Name the last of the Runner's own methods, or of all functions, in an error's traceback."""
    names = [
        (frame.f_code.co_filename, frame.f_code.co_name)
        for frame, _ in traceback.walk_tb(error.__traceback__)
    ]
    own = [name for file, name in names if file == Runner.__init__.__code__.co_filename]
    return (own or [names[-1][1]])[-1]
