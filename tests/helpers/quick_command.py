"""A row's process without mmengine's layout of its config, which takes most of a tiny run."""

import os
import signal

import mmengine.config.config

from mspose_plugin.ablation import running

run_command = running.run_command  # the test puts quick() in its place


def quick(*args):
    """Be the process of a row."""
    mmengine.config.config.FormatCode = lambda text, **_: (text, False)
    if os.path.exists('kill'):  # in the middle of a training: after its first epoch
        from mspose_plugin.checkpoint import saving

        write = saving.write_atomically

        def write_and_die(path, data):
            write(path, data)
            if str(path).endswith('last_checkpoint'):
                os.remove('kill')
                os.kill(os.getpid(), signal.SIGKILL)

        saving.write_atomically = write_and_die
    run_command(*args)
