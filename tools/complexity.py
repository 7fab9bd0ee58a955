"""Count parameters and multiply-adds of the models of configs.

Backbone, neck and head apart, for one image on its way to the loss (at test time MLPE leaves out
its level predictions). What papers give as "FLOPs" of a pose network is usually this number of
multiply-adds (MACs), half of the additions and multiplications. Counted are convolutions,
transposed convolutions and matrix products; normalisation, activations, pooling and interpolation,
a few per cent, are not. The head is what its forward computes as the config stands (refine=False
leaves out the regression network's multiply-adds; its parameters are there all the same). No
weights are read, and nothing is computed: tensors have a shape only.
"""

import argparse
import sys

import torch
from torch import nn

from mspose_plugin.cli import arguments
from mspose_plugin.cli.configs import load_config
from mspose_plugin.cli.output import show_table
from mspose_plugin.cli.running import run
from mspose_plugin.utils import untrained
from mspose_plugin.utils.errors import InputError
from mspose_plugin.utils.files import write_json

COLUMNS = ('backbone', 'neck', 'head', 'total')


def count(model: nn.Module, width: int, height: int) -> dict[str, dict[str, float]]:
    """Count a model's parts.

    Args:
        model: pose estimator on the ``meta`` device.
        width: of the input in pixels.
        height: likewise.

    Returns:
        ``params`` (millions) and ``gmacs`` (10^9 multiply-adds), each
        for the parts that there are and ``total``.
    """
    params, gmacs = {}, {}
    outputs = torch.empty(1, 3, height, width, device='meta')
    for name, part in untrained.parts(model.eval()).items():
        with torch.no_grad():
            outputs, gmacs[name] = untrained.counted(part, outputs)
        params[name] = untrained.params(part)
    return {
        key: values | dict(total=sum(values.values()))
        for key, values in (('params', params), ('gmacs', gmacs))
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    arguments.add_config(parser, dest='configs', nargs='+')
    parser.add_argument(
        '--input-size',
        type=arguments.whole_number(1, 2**14),
        nargs=2,
        metavar=('W', 'H'),
        help='pixels (default: what the config trains with)',
    )
    arguments.add_out(parser, ('.json',), 'the table')


def main(args: argparse.Namespace) -> None:
    """Count, print the table and write it."""
    rows = []
    for config in args.configs:
        cfg = load_config(config, args.cfg_options)
        with torch.device('meta'):
            model = untrained.build(cfg)
        width, height = args.input_size or untrained.codec(cfg)['input_size']
        try:
            counts = count(model, width, height)
        except (RuntimeError, InputError) as e:  # levels whose sizes do not meet again
            raise InputError(
                f'config {config}: the network does not take {width}x{height} pixels '
                f'({str(e).splitlines()[0]}); choose another --input-size'
            ) from e
        rows.append(
            dict(config=config, cfg_options=args.cfg_options, input_size=[width, height], **counts)
        )
    show_table(
        ['config', 'input', *(f'{name}, M' for name in COLUMNS), *(f'{n}, GMACs' for n in COLUMNS)],
        [
            [
                row['config'],
                'x'.join(map(str, row['input_size'])),
                *(
                    f'{row[key][name]:.2f}' if name in row[key] else '-'
                    for key in ('params', 'gmacs')
                    for name in COLUMNS
                ),
            ]
            for row in rows
        ],
    )
    if args.out:
        write_json(args.out, rows, indent=2)


if __name__ == '__main__':
    run(sys.modules[__name__])
