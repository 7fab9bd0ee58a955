"""Train a plan's variants with several seeds: ``python tools/sweep.py PLAN --out DIR``.

A plan is a training config that also has ``variants`` (name -> config options). Every run is one
``tools/train.py`` in ``--work-dir``, whose last validation goes to ``DIR/VARIANT_SEED.json`` with
the options, the seed and the commit. A run whose file is there is not repeated, and an interrupted
one is resumed, so the command can be stopped and given again.
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

from mspose_plugin.cli import common as cli  # adapts the installed releases, so before mmengine

# isort: split
import torch
from mmengine.config import Config
from mmengine.fileio import get_file_backend

from mspose_plugin.checkpoint.loading import find_latest_checkpoint
from mspose_plugin.utils.errors import InputError

ROOT = Path(__file__).resolve().parents[1]


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = cli.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('plan', help='plan, a Python file such as those in tools/plans/')
    parser.add_argument(
        '--out', type=cli.writable_folder, required=True, help='folder of the result files'
    )
    parser.add_argument(
        '--work-dir',
        type=cli.writable_folder,
        default='work_dirs/sweep',
        help='folder of the runs (default: work_dirs/sweep)',
    )
    parser.add_argument('--only', nargs='+', metavar='VARIANT', help='some of the variants')
    parser.add_argument(
        '--seeds', type=cli.seed, nargs='+', default=[0, 1, 2], help='default: 0 1 2'
    )
    return parser.parse_args()


def main() -> None:
    """Run what has no result file yet."""
    args = parse_args()
    plan = read_plan(args.plan)
    variants = args.only or list(plan.variants)
    unknown = set(variants) - set(plan.variants)
    if unknown:
        raise InputError(
            f'--only {sorted(unknown)[0]}: {args.plan} has the variants {", ".join(plan.variants)}'
        )
    for seed in args.seeds:  # a seed of all before the next one
        for name in variants:
            out = Path(args.out) / f'{name}_{seed}.json'
            if out.exists():
                continue
            options = {**plan.variants[name], 'randomness.seed': seed}
            result = train(args.plan, Path(args.work_dir) / f'{name}_{seed}', options)
            record = dict(
                variant=name, seed=seed, plan=args.plan, cfg_options=options, **result, **machine()
            )
            get_file_backend(str(out)).put_text(json.dumps(record, indent=1) + '\n', str(out))
            print(
                f'{name}, seed {seed}: {result.get("diverged", "")}'
                + ', '.join(f'{key} {value:.2f}' for key, value in result['metrics'].items()),
                flush=True,
            )


def read_plan(path: str) -> Config:
    """Read a plan.

    Raises:
        InputError: no such file, or it lacks an entry.
    """
    plan = cli.read_config(path)
    if not isinstance(plan.get('variants'), dict):
        raise InputError(f'plan {path}: has no variants; expected name -> config options')
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
    with open(work_dir / 'sweep.log', 'a') as log:
        done = subprocess.run(
            [
                sys.executable,
                ROOT / 'tools/train.py',
                plan,
                '--work-dir',
                work_dir,
                *resume,
                '--cfg-options',
                *(f'{key}={value}' for key, value in options.items()),
            ],
            stdout=log,
            stderr=subprocess.PIPE,
            text=True,
        )
        log.write(done.stderr)
    last = done.stderr.strip().rpartition('\n')[2]
    diverged = done.returncode and 'not finite' in last
    if done.returncode and not diverged:
        raise InputError(
            f'{work_dir}: the training ended with status {done.returncode} ({last}); see {log.name}'
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
    cli.run(main)
