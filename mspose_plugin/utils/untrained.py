"""What a config describes, built: its network without weights, to be counted, timed or checked."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import Registry, init_default_scope
from mmpose.registry import MODELS
from torch import nn

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
