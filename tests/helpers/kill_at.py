"""Run a tool that is killed (SIGKILL) at its n-th step of saving: ``kill_at.py N TOOL …``.

A step is the first half of a write, a flush to disk, a rename, a removal or the end of a
validation, before its figures are used. ``N = 0`` kills never.
The metric improves with every epoch, so that every epoch also writes a best checkpoint.
"""

import builtins
import os
import runpy
import signal
import sys

from mmengine.logging import MessageHub

from mspose_plugin.evaluation import PCKhAUC
from mspose_plugin.utils import files

left = int(sys.argv[1])
FSYNC = os.fsync


def step() -> None:
    """Count, and die when it is time."""
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


class HalfWritten:
    """A file that dies, when it dies, with half of the data written."""

    def __init__(self, *args):
        self.file = builtins.open(*args)

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, data):
        """Write in two halves."""
        half = len(data) // 2
        self.file.write(data[:half])
        self.file.flush()
        step()
        self.file.write(data[half:])


def counted(function):
    """Die before the call, not after."""

    def wrapper(*args, **kwargs):
        if '.pth' in str(args[0]) or 'last_checkpoint' in str(args[0]) or function is FSYNC:
            step()
        return function(*args, **kwargs)

    return wrapper


files.open = lambda path, mode, *args: (
    HalfWritten(path, mode, *args) if 'w' in mode else builtins.open(path, mode, *args)
)
for name in ('fsync', 'replace', 'remove', 'unlink'):
    setattr(os, name, counted(getattr(os, name)))


def compute_metrics(self, results):
    """Die before the figure, which is the number of the epoch, is there."""
    step()
    return dict(PCKh=float(MessageHub.get_current_instance().get_info('last_validation_epoch')))


PCKhAUC.compute_metrics = compute_metrics
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name='__main__')
