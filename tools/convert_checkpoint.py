"""Convert published PyTorch weights: ``python tools/convert_checkpoint.py SRC DST``.

Reads weights of the stacked hourglass as princeton-vl/pytorch_stacked_hourglass and
bearpaw/pytorch-pose publish them, and ImageNet weights of ResNeSt as zhanghang1989/ResNeSt and timm
do; SRC may be a URL or, for bearpaw's, ``hourglass://bearpaw_hg8``. Writes a checkpoint for the
backbone's ``init_cfg``; an hourglass, which predicts by itself, also for ``tools/test.py``. Names
every tensor that was dropped or initialised, and prints the command or the config entries that go
with the weights.
"""

import argparse
import io
import os.path as osp
import shlex
import textwrap
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.fileio import get_file_backend
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader
from mmpose.registry import MODELS

import mspose_plugin  # noqa: F401  registers the networks
from mspose_plugin.checkpoint.convert import Converted, convert
from mspose_plugin.checkpoint.layouts import LAYOUTS
from mspose_plugin.checkpoint.published import SCHEME, URLS, url_of
from mspose_plugin.cli import common as cli
from mspose_plugin.utils.errors import InputError

ROOT = Path(__file__).resolve().parents[1]


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = cli.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        'src',
        help='published checkpoint: a file, a URL or one of '
        + ', '.join(SCHEME + name for name in URLS),
    )
    parser.add_argument('dst', type=cli.writable_file(), help='checkpoint to write')
    parser.add_argument(
        '--layout',
        choices=['auto', *LAYOUTS],
        default='auto',
        help='where the weights come from (default: auto, told by their names)',
    )
    parser.add_argument(
        '--levels',
        type=cli.positive_int,
        nargs='+',
        metavar='N',
        help='of an hourglass: supervised levels, coarse to fine and ending in 1, '
        'e.g. 8 4 2 1; the predictors of all but the last are initialised '
        '(default: 1)',
    )
    return parser.parse_args()


def main() -> None:
    """Convert, write and report."""
    args = parse_args()
    if osp.realpath(args.src) == osp.realpath(args.dst):
        raise InputError(f'DST {args.dst}: is SRC itself; name another file')
    options = {} if args.levels is None else dict(levels=tuple(args.levels))
    checkpoint = CheckpointLoader.load_checkpoint(url_of(args.src), 'cpu', logger='silent')
    try:
        result = convert(checkpoint, args.layout, **options)
    except InputError as e:
        raise InputError(f'{args.src}: {e}') from e
    buffer = io.BytesIO()
    torch.save(result.checkpoint(), buffer)
    get_file_backend(args.dst).put(buffer.getvalue(), args.dst)
    print(report(result, args.dst))
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
        tool, config = (osp.relpath(path) for path in (ROOT / 'tools/test.py', config))
        lines += ['', 'Test them:', '', '    ' + shlex.join(['python', tool, config, dst])]
    over = config or osp.relpath(ROOT / layout.configs[0])
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


def fitting_config(result: Converted) -> Path | None:
    """Find the project's config whose model has just the tensors of the converted weights.

    Args:
        result: from :func:`mspose_plugin.checkpoint.convert.convert`.

    Returns:
        The config, or None where the published network is another one.
    """
    init_default_scope('mmpose')
    shapes = {name: tensor.shape for name, tensor in result.state_dict.items()}
    for path in LAYOUTS[result.layout].configs:
        with torch.device('meta'):
            model = MODELS.build(Config.fromfile(ROOT / path).model)
        if shapes == {name: tensor.shape for name, tensor in model.state_dict().items()}:
            return ROOT / path
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


if __name__ == '__main__':
    cli.run(main)
