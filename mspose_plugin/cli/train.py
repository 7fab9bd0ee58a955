"""Train a model.

Takes the arguments of MMPose's own tools/train.py. Differences: --amp also works without a GPU,
CONFIG may be a name, and missing data and a --resume with nothing to resume are one line.
"""

from __future__ import annotations

import argparse
import os.path as osp
from typing import Any

import torch
from mmengine.config import Config

from mspose_plugin.checkpoint.resume_checks import check_intact, find_intact_checkpoint
from mspose_plugin.checkpoint.saving import find_latest_checkpoint
from mspose_plugin.cli import arguments
from mspose_plugin.cli.configs import (
    check_data,
    check_same_data,
    load_run_config,
    log_boxes,
    require,
)
from mspose_plugin.engine.optim_wrappers.autocast_optim_wrapper import fast_bfloat16
from mspose_plugin.engine.starting import TrainingRunner, starting
from mspose_plugin.utils.checks import check, check_number, check_value
from mspose_plugin.utils.errors import InputError
from mspose_plugin.utils.together import check_same

NUMBERS = {
    'train_cfg.max_epochs': 1,
    'train_cfg.max_iters': 1,
    'train_cfg.val_interval': 1,
    'default_hooks.checkpoint.interval': -1,
    'default_hooks.checkpoint.max_keep_ckpts': -1,
}
"""Entries that are whole numbers, and the least; -1 is mmengine's for never and for all."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    arguments.add_run_arguments(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='continue from this checkpoint, or from the last one in the work '
        'directory; "intact" passes over checkpoints that are damaged',
    )
    parser.add_argument(
        '--amp',
        action='store_true',
        help='automatic mixed precision: bfloat16 where the device computes it, otherwise float16 '
        'with loss scaling on a GPU and float32 on a CPU',
    )
    parser.add_argument(
        '--no-validate', action='store_true', help='do not evaluate during training'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate '
        'with the actual total batch size (auto_scale_lr.base_batch_size)',
    )


def main(args: argparse.Namespace) -> None:
    """Merge the arguments into the config and train."""
    cfg = load_run_config(args)
    with starting(cfg):
        train(cfg, args)


def train(cfg: Config, args: argparse.Namespace) -> None:
    """Train as the config and the command line say."""
    require(cfg, 'model.type', 'train_dataloader.dataset', 'train_cfg', 'optim_wrapper')
    if cfg.get('val_dataloader'):
        require(cfg, 'val_evaluator')
    check_values(cfg)
    if args.no_validate:
        for scheduler in schedulers(cfg):
            plateau = str(scheduler.type).startswith('ReduceOnPlateau')
            figure = f'the validation\'s {scheduler.get("monitor", "loss")}'
            needed = f'{scheduler.type} goes by {figure}'
            check(not plateau, f'--no-validate: {needed}; omit it, or set another param_scheduler')
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.amp:
        use_amp(cfg)
    if args.auto_scale_lr:
        entry = 'auto_scale_lr.base_batch_size, the batch size that the learning rate is meant for'
        known = 'base_batch_size' in cfg.get('auto_scale_lr', {})
        check(known, f'--auto-scale-lr: the config has no {entry}')
        cfg.auto_scale_lr.enable = True
    check_data(cfg, 'train', 'val')
    if args.resume:
        cfg.resume = True
        cfg.load_from = resumed_checkpoint(args.resume, cfg.work_dir)
    runner = TrainingRunner.from_cfg(cfg)
    shared = 'work_dir has to lie on a file system that all machines see'
    check_same('--resume: the checkpoint', cfg.get('load_from'), shared)
    log_boxes(runner, 'val')
    check_same_data(runner, 'train', 'val')
    loader = runner.train_loop.dataloader
    size = f'{len(loader.dataset)} samples, fewer than train_dataloader.batch_size'
    check(len(loader), f'the training set has {size}, and drop_last is set; lower batch_size')
    runner.train()


def check_values(cfg: Config) -> None:
    """Raise :class:`InputError` where mmengine would fail after an epoch only, or never."""
    for key, least in NUMBERS.items():
        node: Any = cfg
        for name in key.split('.'):
            node = node.get(name) if isinstance(node, dict | Config) else None
        if node is not None:
            check_number(key, node, least, whole=True)
    for i, scheduler in enumerate(schedulers(cfg)):
        milestones, name = scheduler.get('milestones'), f'param_scheduler.{i}.milestones'
        # mmengine would count the letters
        check_value(not isinstance(milestones, str), name, milestones, 'a list of whole numbers')
    resume = cfg.get('resume', False)
    check_value(isinstance(resume, bool), 'resume', resume, 'True or False; --resume takes a path')


def schedulers(cfg: Config) -> list:
    """Return the config's schedulers of the learning rate as a list."""
    found = cfg.get('param_scheduler') or []
    return found if isinstance(found, list) else [found]


def use_amp(cfg: Config) -> None:
    """Choose the optimizer wrapper for mixed precision on this machine."""
    kind = cfg.optim_wrapper.get('type', 'OptimWrapper')
    kind = getattr(kind, '__name__', kind)
    known = kind in ('OptimWrapper', 'AmpOptimWrapper', 'AutocastOptimWrapper')
    check(known, f'--amp does not go with optim_wrapper.type={kind!r}; omit --amp')
    gpu = torch.cuda.is_available()
    if kind == 'OptimWrapper' and gpu and not fast_bfloat16('cuda'):
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
    elif kind == 'OptimWrapper' or kind == 'AmpOptimWrapper' and not gpu:
        for key in ('loss_scale', 'dtype', 'use_fsdp'):  # AmpOptimWrapper's own
            cfg.optim_wrapper.pop(key, None)
        cfg.optim_wrapper.type = 'AutocastOptimWrapper'


def resumed_checkpoint(resume: str, work_dir: str) -> str:
    """Return the checkpoint that ``--resume`` means.

    Args:
        resume: the argument; ``'auto'`` for the last one in ``work_dir``, ``'intact'`` for
            the last one there that can be resumed.
        work_dir: the run's folder.

    Raises:
        InputError: there is none, or the last one is damaged; the message names one that is not.
    """
    if resume not in ('auto', 'intact'):
        known = '://' in resume or osp.isfile(resume)
        check(known, f'--resume: {resume}: no such file; name another checkpoint')
        return resume
    find = find_latest_checkpoint if resume == 'auto' else find_intact_checkpoint
    found = find(work_dir)
    if not found:
        kind = 'finished' if resume == 'auto' else 'intact'
        remedy = 'start without --resume, or name a checkpoint'
        raise InputError(f'--resume: {work_dir} holds no {kind} checkpoint; {remedy}')
    if resume == 'auto':
        check_intact(found, work_dir)
    return found
