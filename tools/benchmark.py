"""Measure what an addition costs: ``python tools/benchmark.py {hourglass,loss} [--out FILE]``.

Each comparison runs its two sides by turns (A B, B A, A B, …) in one process and reports the
median of the ratios of neighbours, so that a machine that others use as well changes the times
and hardly the ratio. Absolute times are for orientation only.
"""
import argparse
import json
import platform
import runpy
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from mmengine.fileio import get_file_backend
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import Tensor

import mspose_plugin  # noqa: F401  registers the components
from mspose_plugin import cli
from mspose_plugin.errors import InputError
from mspose_plugin.skeletons import GROUPS

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Comparison:
    """Two ways to do the same work.

    Attributes:
        name (str): what is compared.
        baseline (Callable[[], None]): one repetition without the addition.
        candidate (Callable[[], None]): one repetition with it.
        target (float): the largest ratio that is aimed at.
    """

    name: str
    baseline: Callable[[], object]
    candidate: Callable[[], object]
    target: float


@dataclass
class Row:
    """A line of the table; times in milliseconds."""

    name: str
    baseline_ms: float
    candidate_ms: float
    ratio: float
    ratio_quartiles: tuple[float, float]
    target: float
    holds: bool


def measure(comparison: Comparison, repeats: int, device: str, clock: str) -> Row:
    """Run a comparison.

    Args:
        comparison (Comparison): what to run.
        repeats (int): number of pairs; two more come before them to warm up.
        device (str): waited for at either end of a repetition.
        clock (str): ``'wall'``, or ``'cpu'`` for the processor time of this process.

    Returns:
        Row: medians and quartiles over the pairs.
    """
    now = time.process_time if clock == 'cpu' else time.perf_counter
    sides = (comparison.baseline, comparison.candidate)
    seconds = np.zeros((repeats + 2, 2))
    for i in range(len(seconds)):
        for side in ((0, 1) if i % 2 else (1, 0)):
            _wait(device)
            start = now()
            sides[side]()
            _wait(device)
            seconds[i, side] = now() - start
    seconds = seconds[2:]
    ratios = seconds[:, 1] / seconds[:, 0]
    ratio = float(np.median(ratios))
    first, third = np.percentile(ratios, (25, 75))
    baseline, candidate = np.median(seconds, axis=0) * 1e3
    return Row(comparison.name, float(baseline), float(candidate), ratio,
               (float(first), float(third)), comparison.target, ratio <= comparison.target)


def _wait(device: str) -> None:
    if device.startswith('cuda'):
        torch.cuda.synchronize(device)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--repeats', type=int, default=20, help='pairs (default: 20)')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu',
                        help='default: a GPU where there is one')
    parser.add_argument('--clock', choices=['wall', 'cpu'], default='wall', help='cpu: processor '
                        'time, steadier on a shared machine without a GPU (default: wall)')
    parser.add_argument('--out', help='JSON file to write')


def _add_sizes(parser: argparse.ArgumentParser, batch: int) -> None:
    parser.add_argument('--stacks', type=int, default=8, help='default: 8')
    parser.add_argument('--input-size', type=int, default=256, help='pixels (default: 256)')
    parser.add_argument('--batch', type=int, default=batch, help=f'default: {batch}')
    parser.add_argument('--norm', choices=['mse', 'l2'], default='mse', help='default: mse')
    parser.add_argument('--combine', choices=['sum', 'max'], default='sum', help='default: sum')


def _add_hourglass(parser: argparse.ArgumentParser) -> None:
    _add_sizes(parser, batch=2)
    parser.add_argument('--channels', type=int, default=256, help='default: 256')
    parser.add_argument('--amp', action='store_true', help='bfloat16 autocast')
    parser.add_argument('--alpha', type=float, default=0., help='weight of the structural term '
                        '(default: 0)')


def _hourglass(args: argparse.Namespace) -> list[Comparison]:
    """MultiScaleHourglass and MSSHead against the published network, which has no levels."""
    if args.input_size % 64:
        raise InputError(f'--input-size {args.input_size}: expected a multiple of 64')
    published = runpy.run_path(str(ROOT / 'tests' / 'reference_hourglass.py'))['Princeton']
    plain = published(args.stacks, args.channels).to(args.device)
    ours = MODELS.build(dict(
        type='MultiScaleHourglass', num_stacks=args.stacks, channels=args.channels,
        stem_channels=(64, 128, 128))).to(args.device)
    head = _head(args, args.alpha)
    images = torch.rand(args.batch, 3, args.input_size, args.input_size, device=args.device)
    samples = _samples(args)
    target = torch.stack([s.gt_fields.heatmaps for s in samples])

    def plain_loss() -> Tensor:
        return sum((h.float() - target).square().sum((2, 3)).mean() for h in plain(images))

    def our_loss() -> Tensor:
        return _total(head.loss(ours(images), samples))

    def forward(net: torch.nn.Module) -> Callable[[], object]:
        def run() -> None:
            net.eval()
            with torch.no_grad(), _autocast(args):
                net(images)
        return run

    def step(net: torch.nn.Module, loss: Callable[[], Tensor]) -> Callable[[], object]:
        # so small a rate that the weights stay as they are, however many repeats
        optimizer = torch.optim.SGD(net.parameters(), lr=1e-12, momentum=0.9)

        def run() -> None:
            net.train()
            optimizer.zero_grad()
            with _autocast(args):
                value = loss()
            value.backward()
            optimizer.step()
        return run

    return [Comparison('forward', forward(plain), forward(ours), 1.03),
            Comparison('training step', step(plain, plain_loss), step(ours, our_loss), 1.03)]


def _add_loss(parser: argparse.ArgumentParser) -> None:
    _add_sizes(parser, batch=8)
    parser.add_argument('--alpha', type=float, default=0.1, help='weight of the structural term '
                        '(default: 0.1)')


def _loss(args: argparse.Namespace) -> list[Comparison]:
    """MSSHead's loss with the structural term against the same without."""
    samples = _samples(args)
    finest = args.input_size // 4
    maps = [[torch.rand(args.batch, 16, finest // level, finest // level, device=args.device,
                        requires_grad=True) for level in (8, 4, 2, 1)]
            for _ in range(args.stacks)]
    leaves = [h for stack in maps for h in stack]

    def run(alpha: float) -> Callable[[], object]:
        head = _head(args, alpha)
        return lambda: torch.autograd.grad(_total(head.loss(maps, samples)), leaves)

    return [Comparison('head.loss and its gradient', run(0.), run(args.alpha), 1.05)]


def _head(args: argparse.Namespace, alpha: float) -> torch.nn.Module:
    loss = dict(type='StructureAwareLoss', groups=GROUPS['mpii'], alpha=alpha, norm=args.norm,
                combine=args.combine)
    return MODELS.build(dict(type='MSSHead', loss=loss)).to(args.device)


def _samples(args: argparse.Namespace) -> list[PoseDataSample]:
    size = args.input_size // 4
    return [PoseDataSample(
        gt_fields=PixelData(heatmaps=torch.rand(16, size, size, device=args.device)),
        gt_instance_labels=InstanceData(keypoint_weights=torch.ones(1, 16, device=args.device)))
        for _ in range(args.batch)]


def _total(losses: dict[str, Tensor]) -> Tensor:
    return sum(value for name, value in losses.items() if name.startswith('loss'))


def _autocast(args: argparse.Namespace):
    kind = torch.device(args.device).type
    return torch.autocast(kind, dtype=torch.bfloat16) if args.amp else nullcontext()


BENCHMARKS: dict[str, tuple[Callable, Callable]] = {
    'hourglass': (_add_hourglass, _hourglass),
    'loss': (_add_loss, _loss),
}
"""Sub-command: what adds its arguments, and what makes its comparisons of them."""


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest='benchmark', required=True)
    for name, (add_arguments, make) in BENCHMARKS.items():
        command = commands.add_parser(
            name, help=make.__doc__.rstrip('.'), description=make.__doc__)
        add_arguments(command)
        _add_common(command)
    return parser.parse_args()


def main() -> None:
    """Measure, print the table and write it."""
    args = parse_args()
    if args.repeats < 1 or args.batch < 1 or args.stacks < 1:
        raise InputError('--repeats, --batch and --stacks: expected 1 or more')
    try:
        torch.zeros(1, device=args.device)
    except (RuntimeError, AssertionError) as e:
        raise InputError(f'--device {args.device}: {str(e).splitlines()[0]}') from e
    torch.manual_seed(0)
    rows = []
    print(f'{"":28}{"without":>12}{"with":>12}{"ratio":>8}  {"quartiles":<14}target')
    for comparison in BENCHMARKS[args.benchmark][1](args):
        row = measure(comparison, args.repeats, args.device, args.clock)
        first, third = row.ratio_quartiles
        print(f'{row.name:28}{row.baseline_ms:9.2f} ms{row.candidate_ms:9.2f} ms{row.ratio:8.3f}  '
              f'{first:.3f}-{third:.3f}   <= {row.target:.2f} '
              f'{"held" if row.holds else "missed"}')
        rows.append(asdict(row))
    if args.out:
        device = (torch.cuda.get_device_name(args.device) if args.device.startswith('cuda') else
                  platform.processor() or platform.machine())
        result = dict(benchmark=args.benchmark, arguments=vars(args), rows=rows, environment=dict(
            torch=torch.__version__, device=device, threads=torch.get_num_threads()))
        get_file_backend(args.out).put_text(json.dumps(result, indent=2) + '\n', args.out)


if __name__ == '__main__':
    cli.run(main)
