"""Where a command starts, and where its errors become one line."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from types import ModuleType

import torch

from mspose_command import ArgumentParser
from mspose_plugin.utils.errors import InputError, explain


def run(command: ModuleType, argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Run a command; wrong input ends the process with one line and exit status 2.

    ``MSPOSE_TRACEBACK=1`` shows tracebacks instead.

    Args:
        command: a module with ``add_arguments(parser)`` and ``main(args)``; its docstring is the
            description.
        argv: the arguments. Defaults to those of the process.
        prog: what the help calls the command. Defaults to the name of the script.
    """
    description = (command.__doc__ or '').replace('``', '')
    parser = ArgumentParser(
        prog, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    try:
        command.add_arguments(parser)
        command.main(parser.parse_args(argv))
    except (InputError, OSError, EOFError, RuntimeError) as e:
        line = _line(e)
        if not line or os.environ.get('MSPOSE_TRACEBACK'):
            raise
        print(f'error: {line}', file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print('interrupted; a training continues with --resume', file=sys.stderr)
        sys.exit(130)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _line(error: Exception) -> str | None:
    if not isinstance(error, InputError):
        return explain(error)
    # an error from a data-loading process arrives with that process's traceback before it
    message = str(error).strip().splitlines()[-1]
    return re.sub(r'^mspose_plugin[.a-z_]*[.][A-Za-z]*Error: ', '', message)
