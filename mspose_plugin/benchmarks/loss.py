"""The structural term of the loss."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch

from mspose_plugin.benchmarks.shared import (
    add_alpha,
    add_sizes,
    build_head,
    square_samples,
    total_loss,
)
from mspose_plugin.benchmarks.timing import Comparison


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_sizes(parser, batch=8)
    add_alpha(parser, 0.1)


def comparisons(args: argparse.Namespace) -> list[Comparison]:
    """MSSHead's loss with the structural term against the same without."""
    samples = square_samples(args)
    finest = args.input_size // 4
    maps = [
        [
            torch.rand(
                args.batch,
                16,
                finest // level,
                finest // level,
                device=args.device,
                requires_grad=True,
            )
            for level in (8, 4, 2, 1)
        ]
        for _ in range(args.stacks)
    ]
    leaves = [h for stack in maps for h in stack]

    def run(alpha: float) -> Callable[[], object]:
        head = build_head(args, alpha)
        return lambda: torch.autograd.grad(total_loss(head.loss(maps, samples)), leaves)

    return [Comparison('head.loss and its gradient', run(0.0), run(args.alpha), 1.05)]
