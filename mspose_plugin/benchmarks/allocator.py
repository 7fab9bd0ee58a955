"""A training step with and without memory that is given back in between."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import torch

from mspose_plugin.benchmarks import arithmetic
from mspose_plugin.benchmarks.timing import COMPARE, Row
from mspose_plugin.cli import arguments
from mspose_plugin.cli.output import track
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.memory import keep_freed_memory

WARM = 2  # steps, after which a process has the memory it needs


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    arithmetic.add_to(parser)
    parser.add_argument('--steps', type=arguments.positive_int, default=10, help='default: 10')
    parser.set_defaults(repeats=4, device='cpu')


def comparisons(args: argparse.Namespace) -> Iterator[Row]:
    """A config's training step where freed memory is kept, as in mspose train, against glibc's way.

    Processor time, kernel's included, of processes of their own.
    """
    check(args.device == 'cpu', f'--device {args.device}: expected cpu')
    turns = track(range(args.repeats), 'allocator', args.repeats)
    times = np.array([[_in_process(args, keep) for keep in (False, True)] for _ in turns]) * 1e3
    given, kept = np.median(times, 0).tolist()
    first, ratio, third = np.percentile(COMPARE['ratio'](*times.T), (25, 50, 75)).tolist()
    what = 'training step, freed memory kept against given back'
    yield Row(what, ratio, (first, third), 'ratio', baseline_ms=given, candidate_ms=kept)


def _in_process(args: argparse.Namespace, keep: bool) -> float:
    """Return the seconds of a step in a process of its own: what is kept stays kept."""
    with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
        return pool.submit(_seconds, args, keep, torch.get_num_threads()).result()


def _seconds(args: argparse.Namespace, keep: bool, threads: int) -> float:
    import mspose_plugin  # noqa: F401  registers the components

    torch.set_num_threads(threads)
    if keep:
        keep_freed_memory()
    (comparison,) = arithmetic.comparisons(args)
    for _ in range(WARM):
        comparison.candidate()
    start = time.process_time()
    for _ in range(args.steps):
        comparison.candidate()
    return (time.process_time() - start) / args.steps
