"""What the command-line tools share: errors in one line, MMPose's arguments, early checks."""

from __future__ import annotations

import argparse
import os
import os.path as osp
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from mmengine.config import Config, ConfigDict, DictAction
from mmengine.runner import Runner

from mspose_plugin.utils.errors import InputError, explain, said
from mspose_plugin.utils.files import check_writable_file, check_writable_folder

DOWNLOADS = {
    'mpii': 'the images (mpii_human_pose_v1.tar.gz, from the MPII Human Pose site) into '
    '{root}images/, MMPose\'s annotation files (mpii_*.json, mpii_gt_val.mat) into '
    '{root}annotations/',
    'flic': 'FLIC (examples.mat and images/, from the FLIC site) into {root}',
    'coco': 'train2017/, val2017/ (or test2017/) and annotations/ from the COCO site into {root}, '
    'a detector\'s boxes (MMPose\'s COCO page links them) into '
    '{root}person_detection_results/',
}
"""What to download, by the start of a dataset class's name."""


class ArgumentParser(argparse.ArgumentParser):
    """argparse's parser, with usage errors in the same one line as all others."""

    def error(self, message: str) -> None:
        """Raise what :func:`run` prints."""
        raise InputError(f'{message}; {self.prog} --help shows the arguments')


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """Return an argument type: a whole number within limits.

    Args:
        least: smallest value.
        most: largest value. Defaults to None, no limit.
    """
    expected = (
        f'expected a whole number from {least} to {most}'
        if most is not None
        else f'expected a whole number of {least} or more'
    )

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is None or number < least or most is not None and number > most:
            raise argparse.ArgumentTypeError(f'{expected}, got {text!r}')
        return number

    return parse


positive_int = whole_number(1)
seed = whole_number(0, 2**32 - 1)


def number(least: float, most: float = float('inf')) -> Callable[[str], float]:
    """Return an argument type: a finite number within limits, these included."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float('nan')
        if not least <= value <= most or value == float('inf'):
            limits = (
                f'of {least:g} or more' if most == float('inf') else (f'from {least:g} to {most:g}')
            )
            raise argparse.ArgumentTypeError(f'expected a number {limits}, got {text!r}')
        return value

    return parse


def _checked(check: Callable[..., None], *args: str) -> Callable[[str], str]:
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


def run(main: Callable[[], None]) -> None:
    """Run a tool's ``main``; an :class:`InputError` ends it with one line and exit status 2.

    Args:
        main: the tool. ``MSPOSE_TRACEBACK=1`` shows tracebacks.
    """
    try:
        main()
    except InputError as e:
        if os.environ.get('MSPOSE_TRACEBACK'):
            raise
        # an error from a data-loading process arrives with that process's traceback before it
        message = str(e).strip().splitlines()[-1]
        print(
            f'error: {re.sub(r"^mspose_plugin[.a-z_]*[.][A-Za-z]*Error: ", "", message)}',
            file=sys.stderr,
        )
        sys.exit(2)
    except (OSError, EOFError, RuntimeError) as e:
        line = explain(e)
        if not line or os.environ.get('MSPOSE_TRACEBACK'):
            raise
        print(f'error: {line}', file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print('interrupted; a training continues with --resume', file=sys.stderr)
        sys.exit(130)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


class _KeyValues(DictAction):
    """mmengine's KEY=VALUE arguments, with spaces kept and usage errors in one line."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
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


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that MMPose's ``train.py`` and ``test.py`` have in common."""
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--work-dir',
        type=writable_folder,
        help='where logs and checkpoints go (default: work_dirs/<name of the config>)',
    )
    parser.add_argument(
        '--show-dir', type=writable_folder, help='save drawn predictions in this folder'
    )
    parser.add_argument('--show', action='store_true', help='show predictions in a window')
    parser.add_argument(
        '--interval', type=positive_int, default=1, help='draw every n-th sample (default: 1)'
    )
    parser.add_argument(
        '--wait-time', type=number(0), default=1, help='seconds a window stays (default: 1)'
    )
    _add_cfg_options(parser)
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher (default: none)',
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what :func:`load_config` needs, for a tool that only reads a config."""
    _add_cfg_options(parser)
    parser.set_defaults(work_dir=None, launcher='none', show=False, show_dir=None, local_rank=0)


def _add_cfg_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=_KeyValues,
        default={},
        metavar='KEY=VALUE',
        help='change config entries, e.g. '
        'train_dataloader.batch_size=8 model.backbone.num_stacks=2',
    )


def read_config(path: str) -> Config:
    """Read a config file.

    Args:
        path: the file.

    Raises:
        InputError: it does not exist or cannot be read.
    """
    if not osp.isfile(path):
        raise InputError(f'config {path}: no such file; the project\'s own are in configs/')
    try:
        return Config.fromfile(path)
    except Exception as e:  # a config is code: anything may come
        raise InputError(f'config {path}: cannot be read: {said(e)}') from e


def load_config(args: argparse.Namespace) -> Config:
    """Read the config and merge the common arguments into it.

    Args:
        args: from a parser with :func:`add_common_arguments`
            or :func:`add_config_arguments`.

    Returns:
        With ``launcher``, ``work_dir`` and the visualisation hook set.

    Raises:
        InputError: the config file does not exist or cannot be read, or an option does not go with
            it.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(args.config)
    cfg.launcher = args.launcher
    cfg.work_dir = (
        args.work_dir
        or cfg.get('work_dir')
        or osp.join('work_dirs', osp.splitext(osp.basename(args.config))[0])
    )
    if args.show or args.show_dir:
        # absolute: MMPose's hook joins a relative folder to the work directory again and again
        enable_hook(
            cfg,
            'visualization',
            show=args.show,
            interval=args.interval,
            out_dir=osp.abspath(args.show_dir) if args.show_dir else None,
            wait_time=args.wait_time if args.show else 0,
        )
    try:
        cfg.merge_from_dict(args.cfg_options)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as e:
        raise InputError(f'--cfg-options: {said(e)}') from e
    if not isinstance(cfg.work_dir, str):
        raise InputError(f'config {args.config}: work_dir={cfg.work_dir!r}, expected a path')
    if 'preprocess_cfg' in cfg:  # MMPose's older place for it
        cfg.model.setdefault('data_preprocessor', cfg.preprocess_cfg)
    return cfg


def enable_hook(cfg: Config, name: str, **settings: Any) -> None:
    """Switch on one of MMPose's hooks that its default runtime lists but leaves off.

    Args:
        cfg: run config.
        name: key in ``default_hooks``.
        **settings: what to set in the hook's config.

    Raises:
        InputError: the config does not list the hook.
    """
    if not cfg.get('default_hooks', {}).get(name):
        raise InputError(
            f'the config has no default_hooks.{name}; inherit MMPose\'s '
            'default_runtime.py, or omit the argument'
        )
    cfg.default_hooks[name].update(enable=True, **settings)


def require(cfg: Config, *entries: str) -> None:
    """Refuse a config that lacks what a tool needs.

    Args:
        cfg: run config.
        *entries: dotted names, e.g. ``'model.test_cfg'``.

    Raises:
        InputError: an entry is missing, None or an empty list; the first is named.
    """
    for entry in entries:
        node = cfg
        for key in entry.split('.'):
            node = node.get(key) if isinstance(node, dict | Config) else None
            if node is None or node == []:
                raise InputError(f'config {cfg.filename}: no {entry}, which this tool needs')


def check_data(cfg: Config, *splits: str) -> None:
    """Look for the files of the data sets before anything is built.

    Args:
        cfg: run config.
        *splits: ``'train'``, ``'val'``, ``'test'``; a split without a data loader is
            passed over.

    Raises:
        InputError: a file or folder is missing; the message says what to download where.
    """
    for split in splits:
        if not cfg.get(f'{split}_dataloader'):
            continue
        require(cfg, f'{split}_dataloader.dataset', f'{split}_dataloader.sampler.type')
        for dataset in _datasets(cfg[f'{split}_dataloader'].dataset):
            root = dataset.get('data_root') or ''
            files = [dataset.get(key) for key in ('ann_file', 'bbox_file', 'headbox_file')]
            prefix = dataset.get('data_prefix') or {}
            if 'img' in prefix:
                files.append(osp.join(root, prefix['img']))
            # MMPose joins data_root to ann_file only
            if files[0] and not osp.isabs(files[0]):
                files[0] = osp.join(root, files[0])
            for path in filter(None, files):
                if '://' not in path and not osp.exists(path):
                    raise InputError(
                        f'{split}_dataloader: {path} does not exist; {_remedy(dataset.type, root)}'
                    )


def log_boxes(runner: Runner, split: str) -> None:
    """Write into the log how many persons are predicted in, and whose boxes they have.

    Args:
        runner: before its run; the split's data set is built.
        split: ``'val'`` or ``'test'``; passed over where the runner has none.
    """
    loop = getattr(runner, f'{split}_loop')
    dataset = loop.dataloader.dataset if loop else None
    if hasattr(dataset, 'bbox_file'):
        source = dataset.bbox_file or f'the ground truth, {dataset.ann_file}'
        runner.logger.info(f'{split}_dataloader: {len(dataset)} boxes of {source}')


def _datasets(cfg: ConfigDict) -> Iterator[ConfigDict]:
    """The data sets of a loader, looking into wrappers such as CombinedDataset."""
    inner = cfg.get('datasets') or ([cfg.dataset] if 'dataset' in cfg else [])
    if not inner:
        yield cfg
    for child in inner:
        yield from _datasets(child)


def _name(dataset_type: str | type) -> str:
    return getattr(dataset_type, '__name__', dataset_type).rpartition('.')[2]


def _remedy(dataset_type: str | type, root: str) -> str:
    where = osp.join(root, '')
    for name, what in DOWNLOADS.items():
        if name in _name(dataset_type).lower():
            return f'put {what.format(root=where)}, or try synthetic people: python tools/demo.py'
    return 'check data_root, ann_file and data_prefix in the config'
