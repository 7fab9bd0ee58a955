"""Train a plan's variants with several seeds.

A plan is a training config that also has variants (name -> config options). Every run is one
tools/train.py in --work-dir, whose last validation goes to OUT/VARIANT_SEED.json with the options,
the seed and the commit. A run whose file is there is not repeated, and an interrupted one is
resumed, so the command can be stopped and given again.
"""

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mspose_plugin.checkpoint.saving import find_latest_checkpoint
from mspose_plugin.cli import arguments
from mspose_plugin.cli.configs import read_config
from mspose_plugin.cli.output import track
from mspose_plugin.cli.running import run
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.files import write_json

ROOT = Path(__file__).resolve().parents[1]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add, folder = parser.add_argument, arguments.writable_folder
    add('plan', help='plan, a Python file such as those in tools/plans/')
    add('--out', type=folder, required=True, help='folder of the result files')
    add(
        '--work-dir',
        type=folder,
        default='work_dirs/sweep',
        help='folder of the runs (default: work_dirs/sweep)',
    )
    add('--only', nargs='+', metavar='VARIANT', help='some of the variants')
    add('--seeds', type=arguments.seed, nargs='+', default=[0, 1, 2], help='default: 0 1 2')


def main(args: argparse.Namespace) -> None:
    """Run what has no result file yet."""
    plan = read_plan(args.plan)
    variants = args.only or list(plan.variants)
    for name in variants:
        known = ', '.join(plan.variants)
        check(name in plan.variants, f'--only {name}: {args.plan} has the variants {known}')
    runs = [
        (name, seed, Path(args.out) / f'{name}_{seed}.json')
        for seed in args.seeds  # a seed of all before the next one
        for name in variants
    ]
    runs = [(name, seed, out) for name, seed, out in runs if not out.exists()]
    for name, seed, out in track(runs, 'runs', len(runs)):
        options = {**plan.variants[name], 'randomness.seed': seed}
        result = train(args.plan, Path(args.work_dir) / f'{name}_{seed}', options)
        record = dict(
            variant=name, seed=seed, plan=args.plan, cfg_options=options, **result, **machine()
        )
        write_json(out, record, indent=1)
        figures = ', '.join(f'{key} {value:.2f}' for key, value in result['metrics'].items())
        print(f'{name}, seed {seed}: {result.get("diverged", "")}{figures}', flush=True)


def read_plan(path: str) -> Config:
    """Read a plan.

    Raises:
        InputError: no such file, or it lacks an entry.
    """
    plan = read_config(path)
    fits = isinstance(plan.get('variants'), dict)
    check(fits, f'plan {path}: has no variants; expected name -> config options')
    return plan


def train(plan: str, work_dir: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Run one training to its end, resumed where it was interrupted.

    Returns:
        ``metrics`` of the last validation, ``losses`` (logged step -> loss) and ``seconds``;
        of a training that diverged, no metrics but its last words as ``diverged``.

    Raises:
        InputError: the training failed for another reason.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    resume = ['--resume'] if find_latest_checkpoint(work_dir) else []
    start = time.monotonic()
    command = [sys.executable, ROOT / 'tools/train.py', plan, '--work-dir', work_dir, *resume]
    changes = (f'{key}={value}' for key, value in options.items())
    with open(work_dir / 'sweep.log', 'a') as log:
        done = subprocess.run(
            [*command, '--cfg-options', *changes], stdout=log, stderr=subprocess.PIPE, text=True
        )
        log.write(done.stderr)
    last = done.stderr.strip().rpartition('\n')[2]
    diverged = done.returncode and 'not finite' in last
    check(
        diverged or not done.returncode,
        f'{work_dir}: the training ended with status {done.returncode} ({last}); see {log.name}',
    )
    lines = [
        json.loads(line)
        for path in sorted(work_dir.glob('*/vis_data/scalars.json'))
        for line in path.read_text().splitlines()
    ]
    losses = {
        line['step']: round(line['loss'], 4) if math.isfinite(line['loss']) else None
        for line in lines
        if 'loss' in line
    }
    found = dict(losses=losses, seconds=round(time.monotonic() - start))
    if diverged:
        return dict(metrics={}, diverged=last.removeprefix('error: '), **found)
    last = [line for line in lines if 'loss' not in line][-1]
    metrics = {k: v for k, v in last.items() if k not in ('step', 'time', 'data_time')}
    return dict(metrics=metrics, **found)


def machine() -> dict[str, Any]:
    """Return what else a figure should say of its making."""
    commit = subprocess.run(
        ['git', '-C', ROOT, 'rev-parse', '--short', 'HEAD'], capture_output=True, text=True
    ).stdout.strip()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU'
    return dict(
        commit=commit,
        device=device,
        cpus=os.cpu_count(),
        python=platform.python_version(),
        torch=torch.__version__,
        date=time.strftime('%Y-%m-%d'),
    )


if __name__ == '__main__':
    run(sys.modules[__name__])
