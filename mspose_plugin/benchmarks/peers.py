"""The project's networks and MMPose's beside each other.

What is measured falls into groups: a workload in a mode at a batch size. Within a group all
networks run by turns, and among them the reference network in fp32 and a large convolution in the
mode's precision. A network's figure is the median over the rounds of its time divided by the
reference's in the same round, so that a machine that others use as well changes the times and
hardly the figure.

The floor is the time that a network's multiply-adds would take at the rate of that convolution.

Peak memory is what is needed beyond what was before the network was built: on a CPU the resident
memory of a process that does nothing else, on a GPU what PyTorch allocates.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hub import get_config

from mspose_plugin.benchmarks.shared import measured_on, peak_memory
from mspose_plugin.benchmarks.timing import by_turns
from mspose_plugin.benchmarks.workloads import (
    WORDS,
    Run,
    convolution,
    forward,
    is_eager,
    read_mode,
    training_step,
)
from mspose_plugin.cli import arguments
from mspose_plugin.cli.configs import load_config
from mspose_plugin.cli.output import show_table
from mspose_plugin.utils import untrained
from mspose_plugin.utils.checks import check, refused
from mspose_plugin.utils.errors import said
from mspose_plugin.utils.files import read_json, write_json
from mspose_plugin.utils.processes import context


@dataclass(frozen=True)
class Network:
    """A network to measure.

    Args:
        config: path or name; of MMPose's own with ``mmpose::`` before it.
        cfg_options: changes to it, pairs of key and value.
        input_size: pixels; None for what all take.
    """

    config: str
    cfg_options: tuple[tuple[str, Any], ...] = ()
    input_size: int | None = None

    def load(self, input_size: int) -> Config:
        """Return the config for square images.

        Args:
            input_size: pixels, unless the network has a size of its own.

        Raises:
            InputError: it cannot be read.
        """
        if '::' in self.config:
            with refused(f'config {self.config}: cannot be read'):
                cfg = get_config(self.config)
        else:
            cfg = load_config(self.config, dict(self.cfg_options))
        side = self.input_size or input_size
        return untrained.resized(cfg, side, side)


_TWO = (('model.backbone.num_stacks', 2),)
_TOPDOWN = 'mmpose::body_2d_keypoint/topdown_heatmap/mpii/td-hm'
NETWORKS = {
    'hourglass8': Network('hourglass/hourglass8_mpii_bearpaw'),
    'hourglass2': Network('hourglass/hourglass2_mpii_bearpaw'),
    'mss8': Network('ablation/hourglass8_mpii_mss'),
    'mss2': Network('ablation/hourglass8_mpii_mss', _TWO),
    'mss8-msr': Network('msspose_hourglass8_mpii'),
    'mss2-msr': Network('msspose_hourglass8_mpii', _TWO),
    'synthetic': Network('msspose/msspose_hourglass2_synthetic', input_size=160),
    'mlpe-resnest50': Network('mlpe/mlpe_resnest50_256x192'),
    'mlpe-resnest101': Network('mlpe/mlpe_resnest101_384x288'),
    'mmpose-hourglass52': Network(f'{_TOPDOWN}_hourglass52_8xb64-210e_mpii-256x256.py'),
    'mmpose-hrnet-w32': Network(f'{_TOPDOWN}_hrnet-w32_8xb64-210e_mpii-256x256.py'),
    'mmpose-resnet50': Network(f'{_TOPDOWN}_res50_8xb64-210e_mpii-256x256.py'),
    'mmpose-rtmpose-m': Network(
        'mmpose::body_2d_keypoint/rtmpose/mpii/rtmpose-m_8xb64-210e_mpii-256x256.py'
    ),
}
"""What is measured unless the arguments say otherwise."""
WORKLOADS: dict[str, Callable[[Config, str, int, str], Run]] = {
    'forward': forward,
    'training': training_step,
}


@dataclass(frozen=True)
class Group:
    """What is measured together."""

    workload: str
    mode: str
    batch: int
    input_size: int
    device: str

    def make(self, network: Network) -> Run:
        """Return a network's run.

        Raises:
            InputError: the network cannot be run so.
        """
        cfg = network.load(self.input_size)
        return WORKLOADS[self.workload](cfg, self.mode, self.batch, self.device)


@cache
def facts(group: Group, network: Network) -> dict[str, float]:
    """Return parameters, multiply-adds per image and peak memory.

    On a CPU a process of its own finds them; a GPU's memory PyTorch counts itself.

    Args:
        group: in a mode that PyTorch runs operation by operation.
        network: what to look at.

    Returns:
        ``params`` (millions), ``gmacs`` (10^9 per image) and ``peak_mb`` (10^6 bytes).

    Raises:
        InputError: the network cannot be run so.
        BrokenProcessPool: the process was killed, as it is where memory ends.
    """
    if torch.device(group.device).type == 'cuda':
        gc.collect()  # estimators are circles: those before would be freed some time in between
        torch.cuda.reset_peak_memory_stats(group.device)
        return _facts(group, network, torch.get_num_threads())
    with ProcessPoolExecutor(1, context([__name__], gpu=False)) as pool:
        return pool.submit(_facts, group, network, torch.get_num_threads()).result()


def _facts(group: Group, network: Network, threads: int) -> dict[str, float]:
    torch.set_num_threads(threads)
    warnings.simplefilter('ignore')
    with torch.device('meta'):
        params = untrained.params(untrained.build(network.load(group.input_size)))
    before = peak_memory(group.device)
    run = group.make(network)
    _, gmacs = untrained.counted(run)
    if group.workload == 'training':
        run()  # with the optimizer's state of the step before
    peak = peak_memory(group.device) - before
    return dict(params=params, gmacs=gmacs / group.batch, peak_mb=peak / 1e6)


def measure(
    group: Group, networks: Mapping[str, Network], reference: Network, repeats: int, clock: str
) -> list[dict[str, Any]]:
    """Measure a group; what a network cannot do is said on stderr.

    Args:
        group: what to measure.
        networks: by name.
        reference: that the others are compared with.
        repeats: number of rounds.
        clock: as for :func:`~mspose_plugin.benchmarks.timing.by_turns`.

    Returns:
        For each network ``network``, ``config``, ``cfg_options``, ``input_size``; ``params``,
        ``gmacs`` and ``peak_mb`` (see :func:`facts`; no memory where PyTorch does not run the
        operations); ``ms`` and ``floor_ms`` per image; ``ratio`` to the reference and its
        ``quartiles``; or ``why`` it cannot be run.

    Raises:
        InputError: the reference cannot be run in fp32.
    """
    plain = replace(group, mode='fp32')
    dense, dense_gmacs = convolution(group.mode, group.device)
    rows, runs = [], [dense, plain.make(reference)]
    for run in runs:
        run()  # the first is slower
    for name, network in networks.items():
        side = network.input_size or group.input_size
        options = dict(network.cfg_options)
        row: dict[str, Any] = dict(
            network=name, config=network.config, cfg_options=options, input_size=side
        )
        rows.append(row)
        try:
            found = facts(group if is_eager(group.mode) else plain, network)
            run = group.make(network)
            run()  # where it fails if it does, and what is compiled is compiled
        except Exception as e:  # whatever a compiler or an exporter says
            row['why'] = said(e)
            print(f'{name}, {group.workload}, {group.mode}: {row["why"]}', file=sys.stderr)
            continue
        runs.append(run)
        row.update(found if is_eager(group.mode) else {**found, 'peak_mb': None})
    what = f'{group.workload}, {group.mode}, batch {group.batch}'
    densest, references, *times = by_turns(runs, repeats, clock, what).T
    for row, time in zip((row for row in rows if 'why' not in row), times):
        first, ratio, third = np.percentile(time / references, (25, 50, 75)).tolist()
        row.update(
            ms=float(np.median(time)) / group.batch,
            floor_ms=float(np.median(densest)) * row['gmacs'] / dense_gmacs,
            ratio=ratio,
            quartiles=[first, third],
        )
    return rows


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add, positive = parser.add_argument, arguments.positive_int
    parser.set_defaults(repeats=5)
    names = ', '.join(NETWORKS)
    add(
        '--networks',
        nargs='+',
        type=network,
        default=[*NETWORKS.items()],
        metavar='NAME',
        help=f'{names}, or configs (default: all of these)',
    )
    add(
        '--reference',
        type=network,
        default='hourglass8',
        metavar='NAME',
        help='what the times are divided by (default: %(default)s)',
    )
    add(
        '--workloads',
        nargs='+',
        choices=list(WORKLOADS),
        default=[*WORKLOADS],
        help='default: both',
    )
    add(
        '--modes',
        nargs='+',
        type=read_mode,
        default=['fp32'],
        metavar='MODE',
        help=f'{", ".join(WORDS)}, or several of these joined by + (default: fp32)',
    )
    add('--batch', nargs='+', type=positive, default=[1], help='sizes (default: 1)')
    add('--input-size', type=positive, default=256, help='pixels (default: 256)')
    add('--resume', action='store_true', help='measure what --out has not yet')


def network(text: str) -> tuple[str, Network]:
    """Argument type: a name of :data:`NETWORKS`, or a config."""
    return text, NETWORKS.get(text) or Network(text)


def main(args: argparse.Namespace) -> None:
    """Our networks and MMPose's: size, memory, time of a forward pass and of a training step."""
    networks, (name, reference) = dict(args.networks), args.reference
    for entry in (*networks.values(), reference):
        entry.load(args.input_size)  # which is wrong now or never
    done = _groups(args.out) if args.resume and args.out and os.path.exists(args.out) else []
    for workload, batch, mode in product(args.workloads, args.batch, args.modes):
        group = Group(workload, mode, batch, args.input_size, args.device)
        known = _measured(done, group)
        missing = {n: network for n, network in networks.items() if n not in known}
        if not missing:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # what MMPose and MMDetection say to newer releases
            rows = measure(group, missing, reference, args.repeats, args.clock)
        print(f'{workload}, {mode}, batch {batch}')
        show_table(HEADER, map(_cells, rows))
        protocol = dict(reference=name, repeats=args.repeats, clock=args.clock)
        done.append({**measured_on(args.device), **asdict(group), **protocol, 'rows': rows})
        if args.out:
            write_json(args.out, dict(benchmark='peers', groups=done), indent=1)


HEADER = ('network', 'input', 'params', 'GMACs', 'peak', 'time', 'floor', 'ratio', 'quartiles')


def _cells(row: Mapping[str, Any]) -> list[str]:
    """Return a row as :func:`show_table` takes it, a dash for what there is not."""
    if 'why' in row:
        return [row['network'], str(row['input_size']), *'-' * 7]
    peak = row['peak_mb']
    return [
        row['network'],
        str(row['input_size']),
        f'{row["params"]:.2f} M',
        f'{row["gmacs"]:.2f}',
        '-' if peak is None else f'{peak:.0f} MB',
        f'{row["ms"]:.1f} ms',
        f'{row["floor_ms"]:.1f} ms',
        f'{row["ratio"]:.3f}',
        '-'.join(f'{value:.3f}' for value in row['quartiles']),
    ]


def _groups(path: str) -> list[dict[str, Any]]:
    """Return the groups of a file that this benchmark wrote."""
    remedy = 'choose another name, or omit --resume'
    content = read_json(path, 'result', remedy)
    ours = isinstance(content, dict) and content.get('benchmark') == 'peers'
    check(ours, f'{path}: not a result of this benchmark; {remedy}')
    return content['groups']


def _measured(groups: Sequence[Mapping[str, Any]], group: Group) -> set[str]:
    """Return the networks that a file has of a group."""
    same = [g for g in groups if all(g[key] == value for key, value in asdict(group).items())]
    return {row['network'] for g in same for row in g['rows'] if 'why' not in row}
