"""The memory of a training step."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import torch
from mmpose.registry import MODELS

from mspose_plugin.benchmarks.shared import (
    add_sizes,
    build_head,
    peak_memory,
    square_samples,
    total_loss,
)
from mspose_plugin.benchmarks.timing import Row
from mspose_plugin.utils.checks import check


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_sizes(parser, batch=8)
    parser.set_defaults(repeats=1, device='cpu')


def comparisons(args: argparse.Namespace) -> Iterator[Row]:
    """Peak memory of a process on the CPU that trains for a step, with and without with_cp."""
    check(args.device == 'cpu', f'--device {args.device}: expected cpu')
    peaks = np.array([[_in_process(args, cp) for cp in (False, True)] for _ in range(args.repeats)])
    what = f'peak memory, {args.stacks} stacks, batch {args.batch}'
    yield _row(what, peaks[:, 0], 'GiB')
    yield _row(f'{what}, with_cp', peaks[:, 1], 'GiB')
    yield _row('with_cp against without', peaks[:, 1] / peaks[:, 0], 'ratio')


def _row(name: str, values: np.ndarray, unit: str) -> Row:
    first, value, third = np.percentile(values, (25, 50, 75)).tolist()
    return Row(name, value, (first, third), unit)


def _in_process(args: argparse.Namespace, with_cp: bool) -> float:
    """Return the peak of a process of its own: one never gives memory back for certain."""
    with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
        return pool.submit(_peak, args, with_cp).result()


def _peak(args: argparse.Namespace, with_cp: bool) -> float:
    """Train for a step; return the peak of the resident memory in GiB."""
    import mspose_plugin  # noqa: F401  registers the components

    stem = (64, 128, 128)
    cfg = dict(num_stacks=args.stacks, stem_channels=stem, with_cp=with_cp)
    net = MODELS.build(dict(type='MultiScaleHourglass', **cfg))
    net.to(memory_format=torch.channels_last)
    images = torch.rand(args.batch, 3, args.input_size, args.input_size)
    images = images.contiguous(memory_format=torch.channels_last)
    total_loss(build_head(args, 0.0).loss(net(images), square_samples(args))).backward()
    return peak_memory('cpu') / 2**30
