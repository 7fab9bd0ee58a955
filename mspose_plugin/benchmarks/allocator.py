"""PyTorch on a CPU with and without memory that is given back to the system in between."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import torch

from mspose_plugin.benchmarks.timing import COMPARE, Row
from mspose_plugin.benchmarks.workloads import forward, read_mode, training_step
from mspose_plugin.cli import arguments
from mspose_plugin.cli.configs import load_config
from mspose_plugin.cli.output import track
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.memory import keep_freed_memory

WORKLOADS = {'forward pass': forward, 'training step': training_step}
WARM = 2
"""Steps after which a process has the memory that it needs."""


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    arguments.add_config(parser)
    add, positive = parser.add_argument, arguments.positive_int
    add('--batch', type=positive, default=8, help='default: 8')
    add('--mode', type=read_mode, default='fp32', help='as for peers (default: fp32)')
    add('--steps', type=positive, default=5, help='of each process (default: 5)')
    parser.set_defaults(repeats=4, device='cpu')


def comparisons(args: argparse.Namespace) -> Iterator[Row]:
    """A config's passes where freed memory is kept, as by mspose, against glibc's own way.

    Processor time, the kernel's included, of processes of their own.
    """
    check(args.device == 'cpu', f'--device {args.device}: expected cpu')
    for name in WORKLOADS:
        turns = track(range(args.repeats), name, args.repeats)
        times = np.array([[_in_process(args, name, keep) for keep in (False, True)] for _ in turns])
        given, kept = np.median(times, 0).tolist()
        first, ratio, third = np.percentile(COMPARE['ratio'](*times.T), (25, 50, 75)).tolist()
        what = f'{name}, batch {args.batch}, freed memory kept against given back'
        yield Row(what, ratio, (first, third), 'ratio', baseline_ms=given, candidate_ms=kept)


def _in_process(args: argparse.Namespace, name: str, keep: bool) -> float:
    """Return the ms of a step in a process of its own: what is kept stays kept."""
    with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
        return pool.submit(_ms, args, name, keep, torch.get_num_threads()).result()


def _ms(args: argparse.Namespace, name: str, keep: bool, threads: int) -> float:
    import mspose_plugin  # noqa: F401  registers the components

    torch.set_num_threads(threads)
    if keep:
        keep_freed_memory()
    cfg = load_config(args.config, args.cfg_options)
    run = WORKLOADS[name](cfg, args.mode, args.batch, args.device)
    for _ in range(WARM):
        run()
    start = time.process_time()
    for _ in range(args.steps):
        run()
    return (time.process_time() - start) / args.steps * 1e3
