"""A training step against its arithmetic."""

from __future__ import annotations

import argparse
from typing import Any

import torch
from mmengine.optim import build_optim_wrapper

from mspose_plugin.benchmarks.parts import num_keypoints
from mspose_plugin.benchmarks.shared import random_samples, total_loss
from mspose_plugin.benchmarks.timing import Comparison
from mspose_plugin.cli import arguments
from mspose_plugin.cli.configs import load_config
from mspose_plugin.utils import untrained
from mspose_plugin.utils.memory import keep_freed_memory


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    arguments.add_config(parser)
    parser.add_argument('--batch', type=arguments.positive_int, default=8, help='default: 8')


def comparisons(args: argparse.Namespace) -> list[Comparison]:
    """A config's training step, optimizer included, against matrix products of as many operations.

    The products are of the precision that the config trains in.
    """
    keep_freed_memory()  # as the command that trains it
    cfg = load_config(args.config, args.cfg_options)
    model: Any = untrained.build(cfg).to(args.device).train()
    codec = untrained.codec(cfg)
    width, height = codec['input_size']
    images = torch.rand(args.batch, 3, height, width, device=args.device)
    samples = random_samples(args, num_keypoints(cfg), codec['heatmap_size'])
    cfg.optim_wrapper.optimizer.lr = 1e-12  # the weights stay as they are
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)

    def step() -> None:
        with wrapper.optim_context(model):
            losses = model.loss(images, samples)
        wrapper.update_params(total_loss(losses))

    _, gmacs = untrained.counted(step)
    low = getattr(wrapper, 'dtype', '') == 'bfloat16'
    on_cpu = torch.device(args.device).type == 'cpu'
    side = 1024 if on_cpu else 8192  # an accelerator does not wait for the next product
    matrix = torch.rand(side, side, device=args.device, dtype=torch.bfloat16 if low else None)
    count, rest = divmod(round(gmacs * 1e9 / side**2), side)  # whole products, rows of another

    def products() -> None:
        for _ in range(count):
            matrix @ matrix
        matrix[:rest] @ matrix

    return [Comparison('training step against its arithmetic', products, step)]
