"""The ``mspose`` command: lists its sub-commands and starts one.

A sub-command is a module of ``mspose_plugin/cli`` with ``add_arguments(parser)`` and
``main(args)``, which may return an exit status. It is imported when it is called: importing the
plugin takes seconds, and ``check-env`` has to run where that fails. This module therefore stands
beside the package, not within it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module, metadata
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from types import ModuleType
from typing import NoReturn

COMMANDS = {
    'predict': 'find people\'s keypoints in images and videos',
    'web': 'serve a page that predicts and shows heatmaps',
    'models': 'list the models, their weights and figures',
    'train': 'train a model',
    'test': 'evaluate a checkpoint',
    'export': 'write a model to an ONNX, OpenVINO, TorchScript or pt2 file',
    'analyze': 'say what kinds of errors predictions have, and what they cost',
    'draw': 'draw heatmaps, predictions, PCKh curves, masking, skeletons',
    'calibrate': 'find options of conditional testing that pay for a checkpoint',
    'convert': 'convert published PyTorch weights',
    'publish': 'make a checkpoint small and safe to hand on',
    'synthesize': 'make a data set of synthetic people',
    'check-data': 'show, repair and draw own annotations, and begin a config with them',
    'ablate': 'train and test variants of a config with several seeds, and compare',
    'curves': 'draw the curves of a training',
    'gpu-check': 'see in minutes what a GPU does: every config, speed, a training',
    'check-env': 'say what is installed, what was adapted and what to do',
}
"""What is typed, and what it does."""


class ArgumentParser(argparse.ArgumentParser):
    """argparse's parser, with usage errors in one line, as all others."""

    def error(self, message: str) -> NoReturn:
        """Print the line and end the process."""
        self.exit(2, f'error: {message}; {self.prog} --help shows the arguments\n')


def main(argv: Sequence[str] | None = None) -> None:
    """Start the sub-command that the command line names.

    Args:
        argv: the words after ``mspose``. Defaults to those of the process.
    """
    command, *rest = (sys.argv[1:] if argv is None else argv) or ['--help']
    if command in ('-h', '--help'):
        width = max(map(len, COMMANDS))
        lines = (f'  {name:<{width}}  {what}' for name, what in COMMANDS.items())
        print('usage: mspose COMMAND ...', '', 'commands:', *lines, '', sep='\n')
        print('mspose COMMAND --help shows the arguments of a command')
    elif command == '--version':
        print(metadata.version('mspose-plugin'))
    elif command in COMMANDS:
        start(command, rest, f'mspose {command}')
    else:
        near = get_close_matches(command, COMMANDS) or COMMANDS
        ArgumentParser('mspose').error(f'{command}: no such command; there is {", ".join(near)}')


def start(command: str, argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Run a sub-command; errors and exit statuses other than 0 end the process.

    Args:
        command: a key of :data:`COMMANDS`.
        argv: its arguments. Defaults to those of the process.
        prog: what its help calls it. Defaults to the name of the script.
    """
    name = command.replace('-', '_')
    if command == 'check-env':
        module = _load_alone(name)
        description = (module.__doc__ or '').replace('``', '')
        parser = ArgumentParser(prog, description=description)
        module.add_arguments(parser)
        sys.exit(module.main(parser.parse_args(argv)))
    try:
        module = import_module(f'mspose_plugin.cli.{name}')
        run = import_module('mspose_plugin.cli.running').run
        memory = import_module('mspose_plugin.utils.memory')
    except ImportError as e:
        sys.exit(f'error: {e}')
    memory.keep_freed_memory()
    run(module, argv, prog)


def _load_alone(name: str) -> ModuleType:
    """Import a module of ``mspose_plugin.cli`` without the package around it."""
    package = find_spec('mspose_plugin')
    assert package and package.submodule_search_locations
    path = f'{package.submodule_search_locations[0]}/cli/{name}.py'
    spec = spec_from_file_location(name, path)
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == '__main__':
    main()
