"""Configs: found by path or name, read, merged with the command line, looked over early."""

from __future__ import annotations

import argparse
import os
import os.path as osp
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner

from mspose_plugin.apis.models import find_config
from mspose_plugin.utils.checks import check, check_value, refused
from mspose_plugin.utils.together import check_same

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


def read_config(text: str) -> Config:
    """Read a config file.

    Args:
        text: its path or name, see :func:`~mspose_plugin.apis.models.find_config`.

    Raises:
        InputError: it does not exist or cannot be read.
    """
    path = find_config(text)
    with refused(f'config {text}: cannot be read'):  # a config is code: anything may come
        return Config.fromfile(path)


def load_config(text: str, options: dict[str, Any] | None = None) -> Config:
    """Read a config and merge options into it.

    Args:
        text: path or name.
        options: of ``--cfg-options``. Defaults to None.

    Raises:
        InputError: there is no such config, or an option does not go with it.
    """
    return merge_options(read_config(text), options or {})


def load_run_config(args: argparse.Namespace) -> Config:
    """Read a config and merge the arguments of a run into it.

    Args:
        args: from a parser with :func:`~mspose_plugin.cli.arguments.add_run_arguments`.

    Returns:
        With ``launcher``, ``work_dir`` and the visualisation hook set.

    Raises:
        InputError: as :func:`load_config`.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(args.config)
    cfg.launcher = args.launcher
    name = osp.splitext(osp.basename(cfg.filename))[0]
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or osp.join('work_dirs', name)
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
    cfg = merge_options(cfg, args.cfg_options)
    name = f'config {args.config}: work_dir'
    check_value(isinstance(cfg.work_dir, str), name, cfg.work_dir, 'a path')
    return cfg


def merge_options(cfg: Config, options: dict[str, Any]) -> Config:
    """Merge options into a config.

    Args:
        cfg: as read; changed.
        options: of ``--cfg-options``.

    Returns:
        The config.

    Raises:
        InputError: an option does not go with it.
    """
    with refused('--cfg-options', KeyError, TypeError, IndexError, AttributeError, ValueError):
        cfg.merge_from_dict(options)
    if 'preprocess_cfg' in cfg and isinstance(cfg.get('model'), dict):  # MMPose's older place
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
    check(
        cfg.get('default_hooks', {}).get(name),
        f'the config has no default_hooks.{name}; inherit MMPose\'s default_runtime.py, or omit '
        'the argument',
    )
    cfg.default_hooks[name].update(enable=True, **settings)


def require(cfg: Config, *entries: str) -> None:
    """Refuse a config that lacks what a command needs.

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
        missing = node is None or node == []
        check(not missing, f'config {cfg.filename}: no {entry}, which this command needs')


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
            for path in _files(dataset):
                check(
                    '://' in path or osp.exists(path),
                    f'{split}_dataloader: {path} does not exist; {_remedy(dataset)}',
                )


def log_boxes(runner: Runner, split: str) -> None:
    """Write into the log how many persons are predicted in, and whose boxes they have.

    Args:
        runner: before its run; the split's data set is built.
        split: ``'val'`` or ``'test'``; passed over where the runner has none.
    """
    loop = getattr(runner, f'{split}_loop')
    dataset: Any = loop.dataloader.dataset if loop else None
    if hasattr(dataset, 'bbox_file'):
        source = dataset.bbox_file or f'the ground truth, {dataset.ann_file}'
        runner.logger.info(f'{split}_dataloader: {len(dataset)} boxes of {source}')


def check_same_data(runner: Runner, *splits: str) -> None:
    """Refuse data sets or batches of different numbers in the processes of a run.

    A process with fewer batches leaves the others waiting for it; one with fewer persons, such as
    on a machine whose copy is not complete, gives them another share than it says.

    Args:
        runner: before its run.
        *splits: ``'train'``, ``'val'``, ``'test'``; passed over where the runner has none.

    Raises:
        InputError: the numbers differ, in all processes.
    """
    for split in splits:
        loop = getattr(runner, f'{split}_loop')
        if loop is None:
            continue
        persons = f'{split}_dataloader: the number of persons'
        check_same(persons, len(loop.dataloader.dataset), 'all machines need the same data')
        if split == 'train':
            batches, whole = 'train_dataloader: the number of batches', 'set sampler.round_up=True'
            check_same(batches, len(loop.dataloader), whole)


def _datasets(cfg: ConfigDict) -> Iterator[ConfigDict]:
    """The data sets of a loader, looking into wrappers such as CombinedDataset."""
    inner = cfg.get('datasets') or ([cfg.dataset] if 'dataset' in cfg else [])
    if not inner:
        yield cfg
    for child in inner:
        yield from _datasets(child)


def _files(dataset: ConfigDict) -> Iterator[str]:
    """The files and folders that a data set reads."""
    root = dataset.get('data_root') or ''
    if dataset.get('ann_file'):  # MMPose joins data_root to this one only
        yield osp.join(root, dataset.ann_file)
    yield from filter(None, (dataset.get(key) for key in ('bbox_file', 'headbox_file')))
    prefix = dataset.get('data_prefix') or {}
    if 'img' in prefix:
        yield osp.join(root, prefix['img'])


def _remedy(dataset: ConfigDict) -> str:
    kind = dataset.type
    kind = getattr(kind, '__name__', kind).rpartition('.')[2].lower()
    root = osp.join(dataset.get('data_root') or '.', '')
    for name, what in DOWNLOADS.items():
        if name in kind:
            synthetic = f'mspose synthesize --layout {name} --out {root}'
            return f'put {what.format(root=root)}, or try synthetic people: {synthetic}'
    return 'check data_root, ann_file and data_prefix in the config'
