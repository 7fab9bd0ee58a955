"""Run a training tool that stops after its first epoch and that epoch's validation.

``one_epoch.py TOOL …``: the config is left as it is, its length among the rest. Published weights
are taken from torch's hub cache, whatever their checksum.
"""

import runpy
import sys

from mmengine.runner import EpochBasedTrainLoop

from mspose_plugin.checkpoint import published

run_epoch = EpochBasedTrainLoop.run_epoch


def once(self):
    """Run an epoch and let it be the last one."""
    run_epoch(self)
    self.stop_training = True


EpochBasedTrainLoop.run_epoch = once
published.sha256_of = lambda url: ''
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
