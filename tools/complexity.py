"""Count parameters and multiply-adds of a config's model: ``python tools/complexity.py CONFIG …``.

Backbone, neck and head apart, for one image on its way to the loss (at test time MLPE leaves out
its level predictions). What papers give as "FLOPs" of a pose network is
usually this number of multiply-adds (MACs), half of the additions and multiplications. Counted are
convolutions, transposed convolutions and matrix products; normalisation, activations, pooling and
interpolation, a few per cent, are not. The head is what its ``forward`` computes as the config
stands (``refine=False`` leaves out the regression network's multiply-adds; its parameters are
there all the same). No weights are read, and nothing is computed: tensors have a shape only.
"""

import argparse
import json

from mspose_plugin.cli import common as cli  # adapts the installed releases, so before MMPose

# isort: split
import torch
from mmengine.fileio import get_file_backend
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mspose_plugin.utils import untrained
from mspose_plugin.utils.errors import InputError

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
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            outputs = part(outputs)
        params[name] = sum(p.numel() for p in part.parameters()) / 1e6
        gmacs[name] = counter.get_total_flops() / 2e9
    return {
        key: values | dict(total=sum(values.values()))
        for key, values in (('params', params), ('gmacs', gmacs))
    }


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = cli.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='config files')
    parser.add_argument(
        '--input-size',
        type=cli.whole_number(1, 2**14),
        nargs=2,
        metavar=('W', 'H'),
        help='pixels (default: what the config trains with)',
    )
    parser.add_argument('--out', type=cli.writable_file('.json'), help='JSON file to write')
    cli.add_config_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Count, print the table and write it."""
    args = parse_args()
    rows = []
    for config in args.configs:
        args.config = config
        cfg = cli.load_config(args)
        with torch.device('meta'):
            model = untrained.build(cfg)
        width, height = args.input_size or untrained.codec(cfg)['input_size']
        try:
            counts = count(model, width, height)
        except RuntimeError as e:  # levels whose sizes do not meet again
            raise InputError(
                f'config {config}: the network does not take {width}x{height} pixels '
                f'({str(e).splitlines()[0]}); choose another --input-size'
            ) from e
        rows.append(
            dict(config=config, cfg_options=args.cfg_options, input_size=[width, height], **counts)
        )
    first = max(len(row['config']) for row in rows)
    print(f'{"":{first}}{"input":>9}  {"parameters, millions":<36}multiply-adds, 10^9')
    print(' ' * (first + 9) + ''.join(f'{name:>9}' for name in COLUMNS * 2))
    for row in rows:
        cells = (
            f'{row[key][name]:9.2f}' if name in row[key] else f'{"-":>9}'
            for key in ('params', 'gmacs')
            for name in COLUMNS
        )
        size = 'x'.join(map(str, row['input_size']))
        print(f'{row["config"]:{first}}{size:>9}{"".join(cells)}')
    if args.out:
        get_file_backend(args.out).put_text(json.dumps(rows, indent=2) + '\n', args.out)


if __name__ == '__main__':
    cli.run(main)
