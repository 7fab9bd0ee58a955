"""Find options of conditional testing that pay for a checkpoint.

Runs the validation set once with every candidate perturbation for every person, which takes
1 + candidates times the passes of plain testing (11 times by default). On one half of the images it
then searches thresholds, perturbations, their number and order, and how trials are fused, for the
most gain in accuracy per extra pass, and takes what it finds only where the other, held-out half
gains as well. Otherwise the thresholds are 0: conditional testing does not pay for this network.

The JSON file holds the options, gains with their intervals over images, and passes per person. It
is for mspose test CONFIG CHECKPOINT --cfg-options model.test_cfg.conditional.thresholds=FILE.
Flip testing and test_cfg.multi_scale stay as the config has them, since they change the
confidences: calibrate and test with the same.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
from mmengine.config import Config
from mmengine.dist import is_main_process

from mspose_plugin.cli import arguments
from mspose_plugin.cli.configs import check_data, load_run_config, require
from mspose_plugin.cli.output import show_table
from mspose_plugin.engine.starting import StartingRunner, starting
from mspose_plugin.evaluation.threshold_search import AIMS
from mspose_plugin.utils.checks import check


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    arguments.add_run_arguments(parser)
    arguments.add_checkpoint(parser)
    arguments.add_out(parser, ('.json',), 'the options', default='thresholds.json')
    add = parser.add_argument
    add(
        '--shifts',
        type=arguments.number(0, 1),
        nargs='*',
        default=[0.04, 0.1],
        metavar='SHARE',
        help='candidates: shifts by these shares of the padded '
        'box, each to the left, right, up and down (default: 0.04 0.1)',
    )
    add(
        '--scales',
        type=arguments.number(0),
        nargs='*',
        default=[0.85, 1.15],
        metavar='FACTOR',
        help='candidates: scaled boxes; none for shifts only, as in the paper (default: 0.85 1.15)',
    )
    add(
        '--aim',
        choices=AIMS,
        default=AIMS[0],
        help='what to look for: the most gain per extra pass, or the most gain (default: per-pass)',
    )
    add(
        '--max-passes',
        type=arguments.number(1),
        help='network passes a person may '
        'take on average, flipped and scaled ones included (default: no limit)',
    )
    add(
        '--max-persons',
        type=arguments.whole_number(2),
        help='calibrate on so many random persons (default: all of the validation set)',
    )
    add(
        '--confidence',
        type=arguments.number(0, 1),
        default=0.95,
        help='of the intervals that must lie above 0 (default: 0.95)',
    )
    arguments.add_seed(parser, 'of the halves, the intervals and --max-persons')


def candidates(shifts: list[float], scales: list[float]) -> list[tuple[float, float, float]]:
    """Return the perturbations to try, as ``test_cfg.conditional.perturbations`` has them."""
    around = [(-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0)]
    return [
        *((x * shift, y * shift, 1.0) for shift in shifts for x, y in around),
        *((0.0, 0.0, scale) for scale in scales),
    ]


def main(args: argparse.Namespace) -> None:
    """Run the validation set and write the options."""
    perturbations = candidates(args.shifts, args.scales)
    check(perturbations, '--shifts and --scales: expected one candidate at least')
    cfg = load_run_config(args)
    with starting(cfg):
        require(cfg, 'model.type', 'val_dataloader.dataset', 'val_evaluator')
        record_trials(cfg, args, perturbations)
        check_data(cfg, 'test')
        StartingRunner.from_cfg(cfg).test()
    if is_main_process():
        summarize(args.out)


def record_trials(cfg: Config, args: argparse.Namespace, perturbations: list) -> None:
    """Let the config's test run try every perturbation for every person of the validation set."""
    if cfg.model.type == 'TopdownPoseEstimator':
        cfg.model.type = 'ConditionalTopdownPoseEstimator'
    test_cfg = cfg.model.get('test_cfg') or {}
    conditional = test_cfg.get('conditional') or {}
    cfg.model.test_cfg = {
        **test_cfg,
        'output_trials': True,
        'conditional': dict(
            thresholds=float(np.finfo(np.float32).max),
            perturbations=perturbations,
            batch_size=conditional.get('batch_size'),
        ),
    }
    cfg.load_from = args.checkpoint
    cfg.test_dataloader, cfg.test_cfg = cfg.val_dataloader, dict()
    if args.max_persons:
        cfg.test_dataloader.sampler = dict(
            type='RandomPersons', count=args.max_persons, seed=args.seed
        )
    protocol = dict(
        config=args.config,
        checkpoint=args.checkpoint,
        cfg_options={k: str(v) for k, v in args.cfg_options.items()},
        flip_test=bool(test_cfg.get('flip_test')),
        multi_scale=test_cfg.get('multi_scale'),
        max_persons=args.max_persons,
    )
    cfg.test_evaluator = dict(
        type='ThresholdCalibration',
        evaluator=cfg.val_evaluator,
        out_file=args.out,
        perturbations=perturbations,
        aim=args.aim,
        max_passes=args.max_passes,
        confidence=args.confidence,
        seed=args.seed,
        sampled=args.max_persons is not None,
        provenance=dict(protocol=protocol),
    )


def summarize(path: str) -> None:
    """Print what a file of this command says, and how to use it."""
    with open(path) as file:
        content = json.load(file)
    best = content['rejected'] or content
    print(f'{content["measure"]}, in percent{", of the options rejected" * (best is not content)}:')
    rows = []
    for name in ('search', 'held_out', 'all'):
        part = best[name]
        low, high = part['gain_interval']
        rows.append(
            (
                name,
                str(part['persons']),
                f'{part["plain"]:.2f}',
                f'{part["conditional"]:.2f}',
                f'{part["gain"]:+.2f}',
                f'{low:+.2f} to {high:+.2f}',
                f'{part["passes"]:.2f}',
                f'{part["retried_percent"]:.1f} %',
            )
        )
    show_table(
        ['', 'persons', 'plain', 'conditional', 'gain', 'interval', 'passes each', 'tried again'],
        rows,
    )
    print(
        f'{content["verdict"]}\nwrote {path}; use it with --cfg-options '
        'model.type=ConditionalTopdownPoseEstimator '
        f'model.test_cfg.conditional.thresholds={path}'
    )
