"""The MSS-net against the published stacked hourglass."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from mmpose.registry import MODELS
from torch import Tensor

from mspose_plugin.benchmarks.shared import (
    add_alpha,
    add_sizes,
    autocast,
    build_head,
    square_samples,
    total_loss,
)
from mspose_plugin.benchmarks.timing import Comparison
from mspose_plugin.cli import arguments
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.reference_hourglass import Princeton


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_sizes(parser, batch=2)
    width = arguments.whole_number(2, 4096)
    parser.add_argument('--channels', type=width, default=256, help='default: 256')
    parser.add_argument('--amp', action='store_true', help='bfloat16 autocast')
    add_alpha(parser, 0.0)


def comparisons(args: argparse.Namespace) -> list[Comparison]:
    """MultiScaleHourglass and MSSHead against the published network, which has no levels."""
    fits = args.input_size % 64 == 0
    check(fits, f'--input-size {args.input_size}: expected a multiple of 64')
    plain = Princeton(args.stacks, args.channels).to(args.device)
    ours = MODELS.build(
        dict(
            type='MultiScaleHourglass',
            num_stacks=args.stacks,
            channels=args.channels,
            stem_channels=(64, 128, 128),
        )
    ).to(args.device)
    head = build_head(args, args.alpha)
    images = torch.rand(args.batch, 3, args.input_size, args.input_size, device=args.device)
    samples = square_samples(args)
    target = torch.stack([s.gt_fields.heatmaps for s in samples])

    def plain_loss() -> Tensor:
        losses = [(h.float() - target).square().sum((2, 3)).mean() for h in plain(images)]
        return torch.stack(losses).sum()

    def our_loss() -> Tensor:
        return total_loss(head.loss(ours(images), samples))

    def forward(net: torch.nn.Module) -> Callable[[], object]:
        def run() -> None:
            net.eval()
            with torch.no_grad(), autocast(args):
                net(images)

        return run

    def step(net: torch.nn.Module, loss: Callable[[], Tensor]) -> Callable[[], object]:
        # so small a rate that the weights stay as they are, however many repeats
        optimizer = torch.optim.SGD(net.parameters(), lr=1e-12, momentum=0.9)

        def run() -> None:
            net.train()
            optimizer.zero_grad()
            with autocast(args):
                value = loss()
            value.backward()
            optimizer.step()

        return run

    return [
        Comparison('forward', forward(plain), forward(ours), 1.03),
        Comparison('training step', step(plain, plain_loss), step(ours, our_loss), 1.03),
    ]
