"""A model against its parts."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import torch
from mmengine.config import Config
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS
from torch import Tensor, nn

from mspose_plugin.benchmarks.shared import random_samples, total_loss
from mspose_plugin.benchmarks.timing import Comparison
from mspose_plugin.cli import arguments
from mspose_plugin.cli.configs import load_config, require
from mspose_plugin.utils import untrained


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    arguments.add_config(parser)
    parser.add_argument('--batch', type=arguments.positive_int, default=2, help='default: 2')


def comparisons(args: argparse.Namespace) -> Iterator[Comparison]:
    """A config's training step against its parts' on their own; the head's share of a forward."""
    cfg = load_config(args.config, args.cfg_options)
    model: Any = untrained.build(cfg).to(args.device)
    codec = untrained.codec(cfg)
    body: list[nn.Module]
    head: Any
    *body, head = untrained.parts(model).values()
    width, height = codec['input_size']
    images = torch.rand(args.batch, 3, height, width, device=args.device)
    samples = random_samples(args, num_keypoints(cfg), codec['heatmap_size'])
    model.train()
    features: Any = images
    steps = []
    for part in body:
        outputs = _cut_off(part, features)
        steps.append(_pass(part, features, outputs))
        features = outputs

    def whole() -> None:
        model.zero_grad()
        total_loss(model.loss(images, samples)).backward()

    def apart() -> None:
        model.zero_grad()
        for step in steps:
            step()
        for tensor in _tensors(features):
            tensor.grad = None
        total_loss(head.loss(features, samples, train_cfg=model.train_cfg or {})).backward()

    yield Comparison('training step against its parts', apart, whole, 1.05)

    model.eval()  # here, since the comparison above has been measured by now

    def forward(run: Callable[[], object]) -> Callable[[], None]:
        def without_gradients() -> None:
            with torch.no_grad():
                run()

        return without_gradients

    yield Comparison(
        'head against the whole forward',
        forward(lambda: model(images, None, mode='tensor')),
        forward(lambda: head(features)),
    )


def _cut_off(part: nn.Module, inputs: Any) -> Any:
    """Return a part's output, cut off from it, with gradients for what would have some."""
    needs = [tensor.requires_grad for tensor in _tensors(part(inputs))]
    with torch.no_grad():
        outputs = part(inputs)
    for tensor, need in zip(_tensors(outputs), needs):
        tensor.requires_grad_(need)
    return outputs


def _pass(part: nn.Module, inputs: Any, outputs: Any) -> Callable[[], None]:
    """Return what runs a part forward and, from gradients of 1 for ``outputs``, backward."""
    gradients = [torch.ones_like(t) for t in _tensors(outputs) if t.requires_grad]

    def run() -> None:
        for tensor in _tensors(inputs):
            tensor.grad = None
        reached = [t for t in _tensors(part(inputs)) if t.requires_grad]
        torch.autograd.backward(reached, gradients)

    return run


def _tensors(value: Any) -> Iterator[Tensor]:
    """Find the tensors in nested sequences."""
    if isinstance(value, Tensor):
        yield value
    elif value is not None:
        for item in value:
            yield from _tensors(item)


def num_keypoints(cfg: Config) -> int:
    """Return how many keypoints the training data have."""
    require(cfg, 'train_dataloader.dataset.type')  # which says how many keypoints there are
    dataset = cfg.train_dataloader.dataset
    metainfo = dataset.get('metainfo') or DATASETS.get(dataset.type).METAINFO
    return parse_pose_metainfo(metainfo)['num_keypoints']
