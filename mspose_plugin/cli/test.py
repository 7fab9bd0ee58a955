"""Evaluate a checkpoint.

Takes the arguments of MMPose's own tools/test.py. Differences: CONFIG may be a name, missing data
and a checkpoint of another architecture are one line, and the log says whose person boxes were
used.
"""

from __future__ import annotations

import argparse
import math
from typing import Any

import mmengine
from mmengine.config import Config
from mmengine.dist import is_main_process

from mspose_plugin.cli import arguments
from mspose_plugin.cli.configs import (
    check_data,
    check_same_data,
    enable_hook,
    load_run_config,
    log_boxes,
    require,
)
from mspose_plugin.engine.starting import StartingRunner, starting
from mspose_plugin.export.formats import format_of
from mspose_plugin.export.network import model_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    arguments.add_run_arguments(parser)
    arguments.add_checkpoint(parser, 'checkpoint file or address, or a file of mspose export')
    arguments.add_trust(parser)
    arguments.add_out(parser, ('.json', '.yaml', '.yml', '.pkl'), 'the metrics')
    parser.add_argument(
        '--dump',
        type=arguments.writable_file('.pkl', '.pickle'),
        help='write the predictions to this .pkl file, for offline evaluation',
    )
    parser.add_argument('--badcase', action='store_true', help="run MMPose's bad-case analysis")


def main(args: argparse.Namespace) -> None:
    """Merge the arguments into the config and test."""
    cfg = load_run_config(args)
    with starting(cfg):
        test(cfg, args)


def test(cfg: Config, args: argparse.Namespace) -> None:
    """Test as the config and the command line say."""
    require(cfg, 'model.type', 'test_dataloader.dataset', 'test_evaluator')
    if format_of(args.checkpoint):
        cfg.model = model_config(args.checkpoint, args.trust_code, **cfg.model.get('test_cfg', {}))
    else:
        cfg.load_from = args.checkpoint
    if args.dump:
        evaluators = cfg.test_evaluator
        cfg.test_evaluator = [
            *(evaluators if isinstance(evaluators, list) else [evaluators]),
            dict(type='DumpResults', out_file_path=args.dump),
        ]
    if args.badcase:
        analyse_bad_cases(cfg, args)
    check_data(cfg, 'test')
    runner = StartingRunner.from_cfg(cfg)
    log_boxes(runner, 'test')
    check_same_data(runner, 'test')
    metrics = runner.test()
    if args.out and is_main_process():
        options = dict(indent=2) if args.out.endswith('.json') else {}
        mmengine.dump({name: plain(value) for name, value in metrics.items()}, args.out, **options)


def analyse_bad_cases(cfg: Config, args: argparse.Namespace) -> None:
    """Switch MMPose's bad-case analysis on; drawing is then left to it."""
    enable_hook(cfg, 'badcase', show=args.show, interval=args.interval)
    hook = cfg.default_hooks.badcase
    if not hook.get('metric'):
        by_loss = hook.get('metric_type', 'loss') == 'loss'
        hook.metric = cfg.model.head.loss if by_loss else cfg.test_evaluator
    cfg.default_hooks.visualization.show = False


def plain(value: Any) -> float | str | None:
    """Return a metric as JSON has it: a float, None for NaN, text for anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    return number if math.isfinite(number) else None
