"""See in a few minutes what this machine's GPU does with MSPose: every config, speed, a training.

The parts: what is installed; a training step of every config, float32 against --amp; images per
second of training, for batch sizes, precisions and compilation, against the published hourglass in
float32; trainings by the clock on synthetic people, which are made beside the first parts; how long
a prediction takes. What fails, runs out of memory or does not fit into the time is a row of the
table; exit status 1 if anything failed. OUT is complete after every row, so that a kill loses none;
beside it lie the logs of the parts.
No network is needed. Without a GPU: --device cpu --quick, to see that it runs.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import torch

from mspose_plugin.ablation.plan import read_plan
from mspose_plugin.apis.models import config_names, project_folder
from mspose_plugin.cli import arguments
from mspose_plugin.cli.configs import read_config
from mspose_plugin.cli.output import show_table
from mspose_plugin.gpu_check.report import cells, goals
from mspose_plugin.gpu_check.rows import FAILED, Row, Settings
from mspose_plugin.gpu_check.running import PARTS, run
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.files import write_json

FOLDER = 'work_dirs/gpu_check'
PLAN = 'tools/plans/recipes_timed.py'
RECIPES = ('adam_5e-4', 'adam_1e-3', 'rmsprop_5e-4', 'sgd_5e-4_cut5')
CONFIG, SMALL = 'msspose_hourglass8_mpii', 'demo/msspose_synthetic'
BATCHES = (32, 8, 64, 128)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add = parser.add_argument
    text = 'for everything (default: 8)'
    add('--minutes', type=arguments.number(0.01, 10_000), default=8, help=text)
    add(
        '--device',
        choices=['cuda', 'cpu'],
        default='cuda' if torch.cuda.is_available() else 'cpu',
        help='default: a GPU if there is one',
    )
    add('--quick', action='store_true', help='small networks and a single config')
    add('--parts', nargs='+', choices=list(PARTS), default=list(PARTS), help='default: all')
    add('--configs', nargs='+', metavar='CONFIG', help='that make a step (default: all)')
    add('--config', help=f'whose speed is measured (default: {CONFIG})')
    sizes = ' '.join(map(str, BATCHES))
    batch = arguments.positive_int
    add('--batches', type=batch, nargs='+', help=f'of that training (default: {sizes})')
    recipes = ' '.join(RECIPES)
    add(
        '--recipes',
        nargs='+',
        metavar='RECIPE',
        help=f'variants of {PLAN} to train (default: {recipes})',
    )
    arguments.add_seed(parser, 'of weights and data')
    arguments.add_out(parser, ('.json',), 'the rows', default=f'{FOLDER}/result.json')


def settings_of(args: argparse.Namespace) -> Settings:
    """Return the settings that the command line asks for.

    Args:
        args: the parsed arguments.

    Raises:
        InputError: a config or a recipe that does not exist.
    """
    root = project_folder()
    check(root, 'gpu-check: neither a checkout nor the installed package has configs/')
    plan = f'{root}/{PLAN}'
    recipes = args.recipes or RECIPES[: 1 if args.quick else None]
    known = read_plan(plan).variants
    for name in recipes:
        check(name in known, f'--recipes {name}: {PLAN} has {", ".join(known)}')
    config = args.config or (SMALL if args.quick else CONFIG)
    # the one that is measured is the last to be left out
    every = sorted(config_names(), key=lambda name: name != config)
    configs = args.configs or ([SMALL] if args.quick else every)
    for name in (config, *configs):
        read_config(name)
    return Settings(
        device=args.device,
        quick=args.quick,
        seed=args.seed,
        config=config,
        configs=tuple(configs),
        batches=tuple(args.batches or ((2,) if args.quick else BATCHES)),
        plan=plan,
        recipes=tuple(recipes),
        folder=FOLDER,
        logs=os.path.dirname(args.out) or '.',
        workers=max(1, (os.cpu_count() or 1) - 1),
    )


def main(args: argparse.Namespace) -> None:
    """Run the parts, write their rows as they come, and print them."""
    settings = settings_of(args)
    if args.device == 'cpu':
        os.environ['CUDA_VISIBLE_DEVICES'] = ''  # mmengine takes a GPU where it sees one
    for folder in (settings.folder, settings.logs):
        Path(folder).mkdir(parents=True, exist_ok=True)
    parts: dict[str, list[Row]] = {}
    result = dict(
        command=sys.argv,
        minutes=args.minutes,
        settings=vars(settings),
        date=time.strftime('%Y-%m-%d %H:%M:%S'),
        parts=parts,
    )
    start = time.monotonic()
    names = [name for name in PARTS if name in args.parts]
    for part, found in run(settings, names, 60 * args.minutes):
        parts.setdefault(part, []).append(found)
        result.update(seconds=round(time.monotonic() - start, 1), goals=goals(parts, settings))
        write_json(args.out, result, indent=2)
        print('  '.join(cells(part, found)), flush=True)
    print()
    parts = {**parts, 'goals': goals(parts, settings)}
    lines = [cells(part, found) for part, rows in parts.items() for found in rows]
    show_table(['part', 'what', 'figures', 'state'], lines, words=4)
    if any(found['state'] == FAILED for rows in parts.values() for found in rows):
        sys.exit(1)
