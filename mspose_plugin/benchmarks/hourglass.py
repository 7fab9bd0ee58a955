"""The MSS-net against the published stacked hourglass."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

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
from mspose_plugin.utils.reference_hourglass import Bearpaw, Princeton


class MMPoseHourglass(nn.Module):
    """MMPose's ``HourglassNet`` with heatmaps, wider and deeper; its configs have one stack.

    Args:
        stacks: number of hourglasses.
        channels: of what they predict from.
    """

    def __init__(self, stacks: int, channels: int) -> None:
        super().__init__()
        self.net = MODELS.build(
            dict(type='HourglassNet', num_stacks=stacks, feat_channels=channels)
        )
        self.predict = nn.ModuleList(nn.Conv2d(channels, 16, 1) for _ in range(stacks))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the heatmaps of every stack."""
        return [predict(features) for predict, features in zip(self.predict, self.net(images))]


PUBLIC = dict(princeton=Princeton, bearpaw=Bearpaw, mmpose=MMPoseHourglass)
"""Public hourglasses by the name of their repository."""


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_sizes(parser, batch=2)
    width = arguments.whole_number(2, 4096)
    parser.add_argument('--channels', type=width, default=256, help='default: 256')
    parser.add_argument('--amp', action='store_true', help='bfloat16 autocast')
    parser.add_argument(
        '--public', choices=list(PUBLIC), default='princeton', help='default: princeton'
    )
    add_alpha(parser, 0.0)


def comparisons(args: argparse.Namespace) -> Iterator[Comparison]:
    """MultiScaleHourglass and MSSHead against a public network, which has no levels."""
    fits = args.input_size % 64 == 0
    check(fits, f'--input-size {args.input_size}: expected a multiple of 64')
    plain = PUBLIC[args.public](args.stacks, args.channels).to(args.device)
    ours = MODELS.build(
        dict(
            type='MultiScaleHourglass',
            num_stacks=args.stacks,
            channels=args.channels,
            stem_channels=(64, 128, 128),
            context='stem',
        )
    ).to(args.device, memory_format=torch.channels_last)
    head = build_head(args, args.alpha)
    options = dict(type='MSRHead', channels=args.channels, context_channels=args.channels)
    regression = nn.Sequential(ours, MODELS.build(options))
    regression.to(args.device).to(memory_format=torch.channels_last)
    images = torch.rand(args.batch, 3, args.input_size, args.input_size, device=args.device)
    laid_out = images.contiguous(memory_format=torch.channels_last)
    samples = square_samples(args)
    target = torch.stack([s.gt_fields.heatmaps for s in samples])

    def plain_loss() -> Tensor:
        losses = [(h.float() - target).square().sum((2, 3)).mean() for h in plain(images)]
        return torch.stack(losses).sum()

    def our_loss() -> Tensor:
        return total_loss(head.loss(ours(laid_out), samples))

    def forward(net: nn.Module, images: Tensor) -> Callable[[], object]:
        def run() -> None:
            if net.training:  # changing it takes long where a step is short
                net.eval()
            with torch.no_grad(), autocast(args):
                net(images)

        return run

    def step(net: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], object]:
        # so small a rate that the weights stay as they are, however many repeats
        optimizer = torch.optim.SGD(net.parameters(), lr=1e-12, momentum=0.9)

        def run() -> None:
            if not net.training:
                net.train()
            optimizer.zero_grad()
            with autocast(args):
                value = loss()
            value.backward()
            optimizer.step()

        return run

    ours_forward = forward(ours, laid_out)
    yield Comparison('forward', forward(plain, images), ours_forward, 0.8)
    yield Comparison('training step', step(plain, plain_loss), step(ours, our_loss), 0.8)
    what = 'forward with the regression network, against without'
    yield Comparison(what, ours_forward, forward(regression, laid_out), 1.15)
    plain.to(memory_format=torch.channels_last)  # here: the others have been measured by now
    what = 'forward, the public network channels-last, too'
    yield Comparison(what, forward(plain, laid_out), ours_forward)
