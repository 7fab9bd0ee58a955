"""Convert published PyTorch weights.

Reads weights of the stacked hourglass as princeton-vl/pytorch_stacked_hourglass and
bearpaw/pytorch-pose publish them, and ImageNet weights of ResNeSt as zhanghang1989/ResNeSt and timm
do; SRC may be a URL or, for bearpaw's, hourglass://bearpaw_hg8. Writes a checkpoint for the
backbone's init_cfg; an hourglass, which predicts by itself, also for mspose test. Names every
tensor that was dropped or initialised, and prints the command or the config entries that go with
the weights.
"""

from __future__ import annotations

import argparse
import io
import os.path as osp
import shlex
import textwrap

import torch
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader
from mmpose.registry import MODELS

from mspose_plugin.apis.models import find_config
from mspose_plugin.checkpoint.convert import Converted, convert, output_difference
from mspose_plugin.checkpoint.layouts import LAYOUTS
from mspose_plugin.checkpoint.published import SCHEME, URLS, url_of
from mspose_plugin.cli import arguments
from mspose_plugin.cli.configs import read_config
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.errors import InputError
from mspose_plugin.utils.files import backend_of

MAX_DIFFERENCE = 1e-4
"""Between the outputs of the published and the converted network, relative to the largest."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        'src',
        metavar='SRC',
        help='published checkpoint: a file, a URL or one of '
        + ', '.join(SCHEME + name for name in URLS),
    )
    parser.add_argument(
        'dst', metavar='DST', type=arguments.writable_file(), help='checkpoint to write'
    )
    parser.add_argument(
        '--layout',
        choices=['auto', *LAYOUTS],
        default='auto',
        help='where the weights come from (default: auto, told by their names)',
    )
    parser.add_argument(
        '--levels',
        type=arguments.positive_int,
        nargs='+',
        metavar='N',
        help='of an hourglass: supervised levels, coarse to fine and ending in 1, '
        'e.g. 8 4 2 1; the predictors of all but the last are initialised (default: 1)',
    )


def main(args: argparse.Namespace) -> None:
    """Convert, write and report."""
    itself = osp.realpath(args.src) == osp.realpath(args.dst)
    check(not itself, f'DST {args.dst}: is SRC itself; name another file')
    options = {} if args.levels is None else dict(levels=tuple(args.levels))
    checkpoint = CheckpointLoader.load_checkpoint(url_of(args.src), 'cpu', logger='silent')
    try:
        result = convert(checkpoint, args.layout, **options)
    except InputError as e:
        raise InputError(f'{args.src}: {e}') from e
    difference = output_difference(checkpoint, result)
    check(
        difference is None or difference < MAX_DIFFERENCE,
        f'{args.src}: the converted network answers otherwise than the published one (relative '
        f'difference {difference}); are the weights finite?',
    )
    buffer = io.BytesIO()
    torch.save(result.checkpoint(), buffer)
    backend_of(args.dst).put(buffer.getvalue(), args.dst)
    print(report(result, args.dst))
    if difference is not None:
        print(
            f'\nthe published network gives the same outputs (relative difference {difference:.1g})'
        )
    print(f'\nwrote {args.dst}')


def report(result: Converted, dst: str) -> str:
    """Say what became of every tensor, and which command or config entries the weights need.

    Args:
        result: from :func:`mspose_plugin.checkpoint.convert.convert`.
        dst: where the weights are written.

    Returns:
        Several lines.
    """
    layout = LAYOUTS[result.layout]
    copied = len(result.state_dict) - len(result.new) - len(result.counters)
    lines = [f'{copied} tensors of {layout.source} (layout {result.layout}) converted']
    for names, what in (
        (result.dropped, 'dropped: the converted network has no use for'),
        (result.new, 'initialised: the published network has none of'),
        (result.counters, 'set to 0: files from before PyTorch 0.4.1 have none of'),
    ):
        if names:
            lines += [f'{len(names)} tensors {what}', *(f'    {name}' for name in names)]
    config = fitting_config(result)
    if config:
        name = config.removeprefix('configs/').removesuffix('.py')
        lines += ['', 'Test them:', '', '    ' + shlex.join(['mspose', 'test', name, dst])]
    over = osp.relpath(find_config(config or layout.configs[0]))
    lines += ['', f'Config entries to train from these weights, over {over}:', '']
    init_cfg = dict(type='Pretrained', checkpoint=dst, prefix='backbone.', strict=True)
    lines += [
        'model = dict(',
        *_entry('data_preprocessor', layout.data_preprocessor),
        *_entry('backbone', {**result.backbone, 'init_cfg': init_cfg}),
        ')',
    ]
    if layout.notes:
        lines.append('')
    lines += [textwrap.fill(f'Note: {note}.', 100) for note in layout.notes]
    return '\n'.join(lines)


def fitting_config(result: Converted) -> str | None:
    """Find the project's config whose model has just the tensors of the converted weights.

    Args:
        result: from :func:`mspose_plugin.checkpoint.convert.convert`.

    Returns:
        The config, as ``layouts`` has it; None where the published network is another one.
    """
    init_default_scope('mmpose')
    shapes = {name: tensor.shape for name, tensor in result.state_dict.items()}
    for config in LAYOUTS[result.layout].configs:
        with torch.device('meta'):
            model = MODELS.build(read_config(config).model)
        if shapes == {name: tensor.shape for name, tensor in model.state_dict().items()}:
            return config
    return None


def _entry(name: str, cfg: dict, indent: str = '    ') -> list[str]:
    """One value per line; a wrapped line could break within a file's name."""
    lines = [f'{indent}{name}=dict(']
    for key, value in cfg.items():
        lines += (
            _entry(key, value, indent + '    ')
            if isinstance(value, dict)
            else [f'{indent}    {key}={value!r},']
        )
    return [*lines, f'{indent}),']
