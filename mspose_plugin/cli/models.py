"""List the models that can be named, with their weights and figures."""

from __future__ import annotations

import argparse

from mspose_plugin.apis.models import known_models
from mspose_plugin.cli.output import show_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        '--all', action='store_true', help='also configs without weights (default: with weights)'
    )


def main(args: argparse.Namespace) -> None:
    """Print the table."""
    models = [m for m in known_models() if m.weights or args.all]
    header = ['name', 'config', 'weights', 'figures']
    rows = [[m.alias or m.name, m.name, m.weights or '-', '; '.join(m.results)] for m in models]
    show_table(header, rows, words=len(header))
    print('\nMMPose\'s own names (human, rtmpose-m, ...) work as well: mspose predict --model NAME')
