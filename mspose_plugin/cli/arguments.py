"""Types of arguments, and the arguments that several commands have."""

from __future__ import annotations

import argparse
import os.path as osp
import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.config import DictAction

from mspose_plugin.apis.models import DEFAULT_MODEL
from mspose_plugin.utils.errors import InputError
from mspose_plugin.utils.files import check_writable_file, check_writable_folder
from mspose_plugin.utils.picture_grid import ENDINGS

# ---------------------------------------------------------------- types


def _within(kind: type[int] | type[float], what: str, least: float, most: float) -> Callable:
    """Return an argument type: a number within limits, these included; never infinite."""
    limits = f'of {least:g} or more' if most == float('inf') else f'from {least:g} to {most:.16g}'

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = float('nan')
        if not (least <= value <= most and value < float('inf')):
            raise argparse.ArgumentTypeError(f'expected a {what} {limits}, got {text!r}')
        return value

    return parse


def whole_number(least: int, most: float = float('inf')) -> Callable[[str], int]:
    """Return an argument type: a whole number within limits, these included."""
    return _within(int, 'whole number', least, most)


def number(least: float, most: float = float('inf')) -> Callable[[str], float]:
    """Return an argument type: a finite number within limits, these included."""
    return _within(float, 'number', least, most)


positive_int = whole_number(1)
seed = whole_number(0, 2**32 - 1)


def _checked(check: Callable[..., None], *args: str) -> Callable[[str], str]:
    """Return an argument type: what a check that raises ``InputError`` lets pass."""

    def parse(text: str) -> str:
        try:
            check(text, *args)
        except InputError as e:
            raise argparse.ArgumentTypeError(str(e)) from e
        return text

    return parse


def writable_file(*endings: str) -> Callable[[str], str]:
    """Return an argument type: see :func:`~mspose_plugin.utils.files.check_writable_file`."""
    return _checked(check_writable_file, *endings)


writable_folder = _checked(check_writable_folder)


def checkpoint(text: str) -> str:
    """Argument type: an address, or the path of a file."""
    if '://' not in text and not osp.isfile(text):
        raise argparse.ArgumentTypeError(f'{text}: no such file; check the path')
    return text


def device(text: str) -> str:
    """Argument type: a device that tensors can be made on."""
    try:
        torch.zeros(1, device=text)
    except (RuntimeError, AssertionError) as e:
        raise argparse.ArgumentTypeError(f'{text}: {str(e).splitlines()[0]}') from e
    return text


# ---------------------------------------------------------------- shared arguments


def add_config(parser: argparse.ArgumentParser, **config: Any) -> None:
    """Add CONFIG and ``--cfg-options``.

    Args:
        parser: a command's.
        **config: what argparse is told of CONFIG otherwise.
    """
    parser.add_argument(
        **{
            'dest': 'config',
            'metavar': 'CONFIG',
            'help': 'config file, or the name of one of the project\'s, such as '
            'msspose_hourglass8_mpii',
            **config,
        }
    )
    add_cfg_options(parser)


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=KeyValues,
        default={},
        metavar='KEY=VALUE',
        help='change config entries, e.g. '
        'train_dataloader.batch_size=8 model.backbone.num_stacks=2',
    )


def add_checkpoint(
    parser: argparse.ArgumentParser, text: str = 'checkpoint file or address'
) -> None:
    """Add CHECKPOINT.

    Args:
        parser: a command's.
        text: what it may be, for the help. Defaults to a checkpoint.
    """
    parser.add_argument('checkpoint', metavar='CHECKPOINT', type=checkpoint, help=text)


def add_predictor(parser: argparse.ArgumentParser) -> None:
    """Add what :func:`~mspose_plugin.cli.predicting.make_predictor` reads."""
    add = parser.add_argument
    add(
        '--model',
        default=DEFAULT_MODEL,
        help='a config, a file of mspose export, or a name of MMPose (default: synthetic, whose '
        'weights come with the package and which has seen drawn people only)',
    )
    add(
        '--weights',
        type=checkpoint,
        help='checkpoint file or address (default: those that belong to the name)',
    )
    add('--device', type=device, help='default: a GPU if there is one')
    add('--half', action='store_true', help='compute in half precision')
    add_trust(parser)


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add ``--trust-code``."""
    parser.add_argument(
        '--trust-code',
        action='store_true',
        help='open an exported TorchScript or pt2 file, which may run code of its author',
    )


def add_out(
    parser: argparse.ArgumentParser, endings: Sequence[str], what: str, **options: Any
) -> None:
    """Add ``--out``, a file that the command writes.

    Args:
        parser: a command's.
        endings: what its name may end in.
        what: the file, for the help.
        **options: further ones of ``add_argument``.
    """
    text = f'write {what} to this file ({", ".join(endings)})'
    parser.add_argument('--out', metavar='FILE', type=writable_file(*endings), help=text, **options)


def add_seed(parser: argparse.ArgumentParser, what: str) -> None:
    """Add ``--seed``.

    Args:
        parser: a command's.
        what: depends on it, for the help.
    """
    parser.add_argument('--seed', type=seed, default=0, help=f'{what} (default: 0)')


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``."""
    parser.add_argument('--device', type=device, default='cpu', help='default: cpu')


def add_grid(parser: argparse.ArgumentParser, num: int, columns: int, size: int) -> None:
    """Add the arguments of a picture that is a grid of persons.

    Args:
        parser: a command's.
        num: default number of persons.
        columns: default number in a row.
        size: default height of a cell in pixels.
    """
    add_out(parser, ENDINGS, 'the picture', required=True)
    add = parser.add_argument
    add('--num', type=positive_int, default=num, help=f'number of persons (default: {num})')
    add('--columns', type=positive_int, default=columns, help=f'in a row (default: {columns})')
    side = whole_number(64, 2048)
    add('--size', type=side, default=size, help=f'height of a cell in pixels (default: {size})')
    add_seed(parser, 'which persons, and what is random on them')


def add_truth(parser: argparse.ArgumentParser) -> None:
    """Add the annotation files that some kinds of predictions need."""
    add = parser.add_argument
    add('--truth', metavar='FILE', help='annotation file; a .pkl has what it needs')
    add('--headboxes', metavar='FILE', help='mpii_gt_val.mat, for a .h5 of MPII')


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add CONFIG and what MMPose's ``train.py`` and ``test.py`` have in common."""
    add_config(parser)
    add = parser.add_argument
    add(
        '--work-dir',
        type=writable_folder,
        help='where logs and checkpoints go (default: work_dirs/<name of the config>)',
    )
    add('--show-dir', type=writable_folder, help='save drawn predictions in this folder')
    add('--show', action='store_true', help='show predictions in a window')
    add('--interval', type=positive_int, default=1, help='draw every n-th sample (default: 1)')
    add('--wait-time', type=number(0), default=1, help='seconds a window stays (default: 1)')
    add(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher (default: none)',
    )
    add('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


class KeyValues(DictAction):
    """mmengine's KEY=VALUE arguments, with spaces kept and usage errors in one line."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Refuse what is not KEY=VALUE, and merge the rest."""
        for value in values:
            key, equals, _ = value.partition('=')
            if not (equals and all(key.split('.'))):
                parser.error(
                    f'{option_string} takes KEY=VALUE with a key such as '
                    f'train_cfg.max_epochs, got {value!r}'
                )
        try:
            super().__call__(parser, namespace, values, option_string)
        except AssertionError as e:
            parser.error(f'{option_string} {" ".join(values)}: {e}')

    @staticmethod
    def _parse_iterable(val: str) -> Any:
        """Parse a value as mmengine does, which however drops every space, in paths too."""
        text = val.strip('\'"')
        if ',' not in text and not text.startswith(('(', '[')):
            return DictAction._parse_int_float_bool(text)
        # between words, not around commas and brackets; no argument can hold a NUL
        kept = re.sub(r'(?<=[^\s,()\[\]]) +(?=[^\s,()\[\]])', lambda m: '\0' * len(m[0]), text)
        return _with_spaces(DictAction._parse_iterable(kept))


def _with_spaces(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(map(_with_spaces, value))
    return value.replace('\0', ' ') if isinstance(value, str) else value
