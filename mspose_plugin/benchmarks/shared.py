"""What several benchmarks share: arguments, random batches, the peak of memory, the machine."""

from __future__ import annotations

import argparse
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import Tensor

from mspose_plugin.ablation.running import machine
from mspose_plugin.cli import arguments
from mspose_plugin.cli.check_env import cpu_features
from mspose_plugin.skeletons import GROUPS


def add_sizes(parser: argparse.ArgumentParser, batch: int) -> None:
    """Add what says how large the hourglass is and how its heatmaps are compared."""
    add, whole = parser.add_argument, arguments.whole_number
    add('--stacks', type=whole(1, 64), default=8, help='default: 8')
    add('--input-size', type=whole(64, 2048), default=256, help='pixels (default: 256)')
    add('--batch', type=whole(1), default=batch, help=f'default: {batch}')
    add('--norm', choices=['mse', 'l2'], default='mse', help='default: mse')
    add('--combine', choices=['sum', 'max'], default='sum', help='default: sum')


def add_alpha(parser: argparse.ArgumentParser, alpha: float) -> None:
    """Add the weight of the structural term."""
    text = f'weight of the structural term (default: {alpha:g})'
    parser.add_argument('--alpha', type=arguments.number(0), default=alpha, help=text)


def build_head(args: argparse.Namespace, alpha: float) -> Any:
    """Return an MSSHead with the loss that the arguments say."""
    loss = dict(
        type='StructureAwareLoss',
        groups=GROUPS['mpii'],
        alpha=alpha,
        norm=args.norm,
        combine=args.combine,
    )
    return MODELS.build(dict(type='MSSHead', loss=loss)).to(args.device)


def square_samples(args: argparse.Namespace) -> list[PoseDataSample]:
    """Return a batch with random heatmaps for an hourglass."""
    return random_samples(args, 16, (args.input_size // 4, args.input_size // 4))


def random_samples(
    args: argparse.Namespace, keypoints: int, size: tuple[int, int]
) -> list[PoseDataSample]:
    """Return a batch with random heatmaps of ``size`` (width, height)."""
    maps = torch.rand(args.batch, keypoints, *size[::-1], device=args.device)
    weights = torch.ones(1, keypoints, device=args.device)
    return [
        PoseDataSample(
            gt_fields=PixelData(heatmaps=heatmaps),
            gt_instance_labels=InstanceData(keypoint_weights=weights),
        )
        for heatmaps in maps
    ]


def total_loss(losses: dict[str, Tensor]) -> Tensor:
    """Return the sum of what is a loss among the logged values."""
    return torch.stack([v for name, v in losses.items() if name.startswith('loss')]).sum()


def autocast(args: argparse.Namespace) -> AbstractContextManager:
    """Return bfloat16 autocast if ``--amp`` is given."""
    kind = torch.device(args.device).type
    return torch.autocast(kind, dtype=torch.bfloat16) if args.amp else nullcontext()


def peak_memory(device: str) -> int:
    """Return the most bytes that this process has needed so far.

    Args:
        device: such as ``'cpu'``: resident memory; of a GPU what PyTorch has allocated there.
    """
    if torch.device(device).type == 'cuda':
        return torch.cuda.max_memory_allocated(device)
    import resource  # not on Windows

    unit = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def measured_on(device: str) -> dict[str, Any]:
    """Return what a file of figures says of their making: commit, versions, device, threads.

    Args:
        device: such as ``'cuda'``.
    """
    gpu = torch.device(device).type == 'cuda'
    name = torch.cuda.get_device_name(device) if gpu else f'CPU, {cpu_features()}'
    return dict(machine(), device_name=name, threads=torch.get_num_threads())
