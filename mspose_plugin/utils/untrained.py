"""What a config describes, built: its network without weights, to be counted, timed or checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import Registry, init_default_scope
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from mspose_plugin.utils.checks import check as check_that
from mspose_plugin.utils.checks import refused
from mspose_plugin.utils.errors import InputError


def built(registry: Registry, entry: Any, cfg: Config, name: str) -> Any:
    """Build a config's entry, with one line for whatever a component says to its arguments.

    Args:
        registry: where its type is looked up.
        entry: the entry.
        cfg: the config, for the message.
        name: of the entry, for the message.

    Raises:
        InputError: it cannot be built.
    """
    with refused(f'config {cfg.filename}: {name} cannot be built'):
        return registry.build(entry)


def build(cfg: Config) -> nn.Module:
    """Build the model; no file of weights is read or fetched.

    Args:
        cfg: run config; not changed.

    Returns:
        The pose estimator, with PyTorch's initialisation.

    Raises:
        InputError: no model with a backbone and a head, or one that cannot be built.
    """
    model = cfg.to_dict().get('model')
    parts = [model.get(part) for part in ('backbone', 'head')] if isinstance(model, dict) else [0]
    complete = all(isinstance(part, dict) for part in parts)
    check_that(complete, f'config {cfg.filename}: no model with a backbone and a head')
    model['backbone'].pop('pretrained', None)
    if 'init_cfg' in model['backbone']:
        model['backbone']['init_cfg'] = None
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    return built(MODELS, model, cfg, 'the model')


def check(cfg: Config) -> None:
    """Refuse a config whose model cannot be built; takes no time and no memory.

    Args:
        cfg: run config.

    Raises:
        InputError: as :func:`build`.
    """
    with torch.device('meta'):
        build(cfg)


def parts(model: nn.Module) -> dict[str, nn.Module]:
    """Return backbone, neck (where there is one) and head, in the order in which they run."""
    found = {name: getattr(model, name, None) for name in ('backbone', 'neck', 'head')}
    return {name: part for name, part in found.items() if part is not None}


def codec(cfg: Config) -> dict:
    """Return the codec that the head decodes with, or the config's ``codec``.

    Args:
        cfg: run config.

    Raises:
        InputError: neither has an ``input_size``.
    """
    for found in (cfg.model.head.get('decoder'), cfg.get('codec')):
        if isinstance(found, dict) and 'input_size' in found:
            return found
    raise InputError(
        f'config {cfg.filename}: neither model.head.decoder nor codec says which '
        'input_size the network takes'
    )


SIZES = ('input_size', 'heatmap_size', 'in_featuremap_size')
"""Entries that grow with the images, [w, h]."""


def resized(cfg: Config, width: int, height: int) -> Config:
    """Return the config for images of another size: heatmaps keep their share of it.

    Args:
        cfg: run config; not changed.
        width: of the network's input in pixels.
        height: likewise.

    Raises:
        InputError: as :func:`codec`.
    """
    before = codec(cfg)['input_size']

    def changed(node: Any) -> Any:
        if isinstance(node, dict):
            return {k: fitted(v) if k in SIZES else changed(v) for k, v in node.items()}
        return type(node)(map(changed, node)) if isinstance(node, list | tuple) else node

    def fitted(size: tuple[int, int]) -> tuple[int, ...]:
        return tuple(n * new // old for n, new, old in zip(size, (width, height), before))

    return Config(changed(cfg.to_dict()), filename=cfg.filename)


def metainfo(cfg: Config, split: str) -> dict:
    """Return what a config's data set says of its keypoints, as MMPose parses it.

    Args:
        cfg: run config.
        split: ``'train'``, ``'val'`` or ``'test'``.

    Raises:
        InputError: it has no such data set.
    """
    from mmpose.apis.inference import dataset_meta_from_config  # after the plugin's adaptations

    found = dataset_meta_from_config(cfg, split)
    check_that(found, f'config {cfg.filename}: no {split} set, which names the keypoints')
    return found


def samples(cfg: Config, batch: int) -> list[PoseDataSample]:
    """Return people with keypoints anywhere in the image, as the config's losses take them.

    The config's training pipeline makes the targets, from ``GenerateTarget`` on.

    Args:
        cfg: run config.
        batch: number of people.

    Raises:
        InputError: no training set, or no ``GenerateTarget`` in its pipeline.
    """
    keypoints = metainfo(cfg, 'train')['num_keypoints']
    pipeline = cfg.train_dataloader.dataset.get('pipeline') or []
    types = [step.type for step in pipeline]
    name = f'config {cfg.filename}: train_dataloader.dataset.pipeline'
    check_that('GenerateTarget' in types, f'{name}: no GenerateTarget, which makes the targets')
    encode = Compose(pipeline[types.index('GenerateTarget') :])
    size, rng = codec(cfg)['input_size'], np.random.default_rng(0)
    people = [
        dict(
            img=np.zeros((1, 1, 3), np.uint8),
            keypoints=rng.uniform(0, size, (1, keypoints, 2)).astype(np.float32),
            keypoints_visible=np.ones((1, keypoints), np.float32),
            dataset_keypoint_weights=np.ones(keypoints, np.float32),
            raw_ann_info=dict(keypoints=[2] * 3 * keypoints),  # all visible, for COCO's losses
        )
        for _ in range(batch)
    ]
    return [encode(person)['data_samples'] for person in people]


def counted(function: Callable[..., Any], *args: Any) -> tuple[Any, float]:
    """Call a function and count the multiply-adds of its convolutions and matrix products.

    Args:
        function: what to call.
        *args: its arguments; on the ``meta`` device nothing is computed.

    Returns:
        What it returns, and the count in 10^9.
    """
    formulas = {torch.ops.aten.convolution_backward: _convolution_backward}
    with FlopCounterMode(display=False, custom_mapping=formulas) as counter:
        result = function(*args)
    return result, counter.get_total_flops() / 2e9


def _convolution_backward(
    grad: Any, x: Any, weight: Any, *args: Any, out_shape: Any, **kwargs: Any
) -> int:
    """Count as many operations for each gradient as forward; PyTorch's own forgets groups."""
    transposed, needed = args[4], args[7]
    return sum(needed[:2]) * conv_flop_count(x, weight, grad, transposed)


def params(module: nn.Module) -> float:
    """Return a module's number of parameters in millions."""
    return sum(p.numel() for p in module.parameters()) / 1e6
