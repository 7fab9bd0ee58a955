"""Train and test the rows of a plan with several seeds, and report what they say.

A plan is a training config with variants (name -> config options), such as those in tools/plans.
A row goes to OUT/VARIANT_SEED.json; a row whose file is there is not run again, and one that was
interrupted goes on from its last checkpoint, so that the command can be stopped and given again.
Rows that share weights make one job; jobs are independent:

  mspose ablate tools/plans/testing.py                  one job after the other
  mspose ablate tools/plans/testing.py --workers 4      four at a time
  mspose ablate tools/plans/testing.py --job 3          the third of those that --list shows
  mspose ablate tools/plans/testing.py --submit slurm   each as a job of a cluster
  mspose ablate tools/plans/testing.py --report         tables, and a plot with --plot FILE
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from mspose_plugin.cli import arguments
from mspose_plugin.cli.curves import ENDINGS
from mspose_plugin.cli.output import show_table, track
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add, folder = parser.add_argument, arguments.writable_folder
    add('plan', metavar='PLAN', help='plan, a Python file such as those in tools/plans/')
    add('--out', type=folder, help='folder of the result files (default: results/<plan>)')
    add('--work-dir', type=folder, help='folder of the runs (default: work_dirs/ablate/<plan>)')
    add('--only', nargs='+', metavar='VARIANT', default=[], help='some variants and what they need')
    add('--seeds', type=arguments.seed, nargs='+', help='default: the plan\'s, or 0 1 2')
    how = parser.add_mutually_exclusive_group()
    count = arguments.positive_int
    how.add_argument('--workers', type=count, default=1, help='jobs at a time (default: 1)')
    how.add_argument('--job', type=count, help='one job, by its number in --list')
    how.add_argument(
        '--submit',
        choices=['slurm', 'local', 'debug', 'auto'],
        help='give each job to a cluster through submitit: slurm, processes of this machine, this '
        'process, or what is found; ends when all have ended',
    )
    how.add_argument('--list', action='store_true', help='show jobs and rows, run nothing')
    how.add_argument('--report', action='store_true', help='print the tables of the results')
    add(
        '--submit-options',
        nargs='+',
        action=arguments.KeyValues,
        default={},
        metavar='KEY=VALUE',
        help='of submitit, e.g. slurm_partition=gpu timeout_min=240 gpus_per_node=1',
    )
    add(
        '--plot',
        metavar='FILE',
        type=arguments.writable_file(*ENDINGS),
        help=f'with --report: draw it ({", ".join(ENDINGS)})',
    )


def main(args: argparse.Namespace) -> None:
    """Do what the command line says."""
    from mspose_plugin.ablation.plan import read_plan
    from mspose_plugin.ablation.running import Runs

    check(not args.plot or args.report, '--plot goes with --report')
    chosen = args.only or args.seeds or args.work_dir
    whole = not (args.report and chosen)
    check(whole, '--report is of all results: omit --only, --seeds and --work-dir')
    check(not args.submit_options or args.submit, '--submit-options goes with --submit')
    plan, stem = read_plan(args.plan), Path(args.plan).stem
    out = Path(args.out or f'results/{stem}')
    if args.report:
        from mspose_plugin.ablation.report import draw, markdown, read_report

        report = read_report(plan, out)
        print(markdown(report), end='')
        if args.plot:
            draw(report, args.plot)
        return
    threads = max(1, (os.cpu_count() or 1) // args.workers) if args.workers > 1 else None
    runs = Runs(plan, out, Path(args.work_dir or f'work_dirs/ablate/{stem}'), threads)
    jobs = plan.jobs(args.seeds, args.only)
    numbers = list(range(1, len(jobs) + 1))
    check(args.job is None or args.job <= len(jobs), f'--job {args.job}: there are {len(jobs)}')
    if args.list:
        rows = [
            [str(i), str(job.seed), ', '.join(v.name for v in job.variants), _state(runs, job)]
            for i, job in zip(numbers, jobs)
        ]
        show_table(['job', 'seed', 'rows', 'done'], rows, words=3)
    elif args.submit:
        submit(args, runs, jobs)
    else:
        chosen = [jobs[args.job - 1]] if args.job else jobs
        chosen = [job for job in chosen if not all(runs.done(v, job.seed) for v in job.variants)]
        if not chosen:
            return
        plan.make_data(chosen, args.workers)
        with ThreadPoolExecutor(args.workers) as pool:
            errors = pool.map(partial(try_job, runs), chosen)
            failed = [error for error in track(errors, 'jobs', len(chosen)) if error]
        count = f'{len(failed)} of {len(chosen)} jobs failed'
        check(not failed, f'{count}, the first: {"".join(failed[:1])}')


def run_job(runs: Any, job: Any) -> None:
    """Make the rows of a job and say so."""
    for line in runs.run(job):
        print(line, flush=True)


def try_job(runs: Any, job: Any) -> str:
    """Make the rows of a job, or say at once what ended it and return that: others go on."""
    try:
        run_job(runs, job)
    except (InputError, OSError, ValueError) as e:  # a full disk, what another job half wrote
        print(e, flush=True)
        return str(e)
    return ''


def run_on_cluster(runs: Any, job: Any) -> None:
    """Be a job of a cluster."""
    runs.plan.make_data([job])
    run_job(runs, job)


def submit(args: argparse.Namespace, runs: Any, jobs: list) -> None:
    """Give each unfinished job to submitit and wait for all."""
    try:
        import submitit
    except ImportError:
        submitit = None
    check(submitit, '--submit needs submitit: pip install "mspose-plugin[cluster]"')
    executor = submitit.AutoExecutor(
        folder=runs.work_dir / 'submitit', cluster=None if args.submit == 'auto' else args.submit
    )
    executor.update_parameters(name=Path(args.plan).stem, **args.submit_options)
    jobs = [job for job in jobs if not all(runs.done(v, job.seed) for v in job.variants)]
    if not jobs:
        return
    with executor.batch():
        given = [executor.submit(run_on_cluster, runs, job) for job in jobs]
    failed = []
    for one in track(given, 'jobs', len(given)):
        try:
            one.result()
        except Exception as e:  # whatever the cluster says
            failed.append((one.job_id, str(e).strip().splitlines()[-1:]))
    first = failed and f'job {failed[0][0]}: {"".join(failed[0][1])}'
    where = f'see {runs.work_dir}/submitit'
    check(not failed, f'{len(failed)} of {len(given)} jobs failed, the first {first}; {where}')


def _state(runs: Any, job: Any) -> str:
    try:
        return f'{sum(runs.done(v, job.seed) for v in job.variants)} of {len(job.variants)}'
    except InputError:
        return 'results of another plan'
