"""Measure what something costs.

Each comparison runs its two sides by turns (A B, B A, A B, …) in one process and reports the
median of the ratios of neighbours, so that a machine that others use as well changes the times
and hardly the ratio; or that of their differences, where the aim is a time. The times of the two
sides are for orientation only.
"""

import argparse
import sys
from dataclasses import asdict

import torch

import mspose_plugin  # noqa: F401  registers the components
from mspose_plugin.benchmarks import BENCHMARKS
from mspose_plugin.benchmarks.shared import measured_on
from mspose_plugin.benchmarks.timing import CLOCKS, Comparison, measure
from mspose_plugin.cli import arguments
from mspose_plugin.cli.output import show_table
from mspose_plugin.cli.running import run
from mspose_plugin.gpu_check.step import use_precision
from mspose_plugin.utils.files import write_json


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--repeats', type=arguments.positive_int, default=20, help='pairs (default: %(default)s)'
    )
    parser.add_argument(
        '--device',
        type=arguments.device,
        default='cuda' if torch.cuda.is_available() else 'cpu',
        help='default: a GPU where there is one',
    )
    parser.add_argument(
        '--clock',
        choices=list(CLOCKS),
        default='wall',
        help='cpu: processor time, steadier on a shared machine without a GPU (default: wall)',
    )
    arguments.add_out(parser, ('.json',), 'the table')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands and their arguments."""
    commands = parser.add_subparsers(dest='benchmark', required=True)
    for name, module in BENCHMARKS.items():
        what = (getattr(module, 'main', None) or module.comparisons).__doc__
        command = commands.add_parser(name, help=what.rstrip('.'), description=what)
        _add_common(command)
        module.add_to(command)


def main(args: argparse.Namespace) -> None:
    """Measure, print the table and write it."""
    torch.manual_seed(0)
    use_precision('fp32')
    module = BENCHMARKS[args.benchmark]
    if hasattr(module, 'main'):
        module.main(args)
        return
    rows = [
        measure(made, args.repeats, args.clock) if isinstance(made, Comparison) else made
        for made in module.comparisons(args)
    ]
    show_table(
        ['', 'baseline', 'candidate', 'value', 'quartiles', 'target'], [row.cells() for row in rows]
    )
    if args.out:
        result = dict(
            benchmark=args.benchmark,
            arguments={name: value for name, value in vars(args).items() if name != 'out'},
            rows=[asdict(row) for row in rows],
            environment=measured_on(args.device),
        )
        write_json(args.out, result, indent=2)


if __name__ == '__main__':
    run(sys.modules[__name__])
