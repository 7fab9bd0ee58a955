"""One training step of every config, in float32 and as ``--amp`` computes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mspose_plugin.cli.configs import load_config
from mspose_plugin.engine.optim_wrappers.autocast_optim_wrapper import fast_bfloat16
from mspose_plugin.engine.stage import Stage
from mspose_plugin.gpu_check import step
from mspose_plugin.gpu_check.rows import Row, Settings, measured

_BATCH = 2
_DIFFERENCE = 0.05
"""Of the losses, as a share, at most: bfloat16 has three digits, and a network many layers."""


def configs(settings: Settings, deadline: float) -> Iterator[Row]:
    """Yield a row for every config."""
    return measured(
        ((name, partial(_compare, name, settings)) for name in settings.configs), deadline
    )


def _compare(name: str, settings: Settings) -> dict[str, Any]:
    """Compare both precisions, from the same weights on the same batch, then make a step."""
    cfg = load_config(name)
    plain = step.of_config(cfg, _BATCH, settings.device, 'fp32', settings.seed)
    amp = amp_precision(settings.device)
    # a scaler that is new would skip steps
    scale = dict(loss_scale=1.0) if amp == 'fp16' else {}
    wrapper = step.build_wrapper(cfg, plain.model, amp, **scale)
    # from a pixel of two images, batch statistics turn what is rounded into any gradient
    for module in plain.model.modules():
        if isinstance(module, _BatchNorm):
            module.eval()
    loss, gradients = _backward(plain)
    step.use_precision(amp)
    mixed = step.Step(plain.model, wrapper, plain.loss)
    amp_loss, amp_gradients = _backward(mixed)
    mixed.model.train()
    _backward(mixed)
    wrapper.step()
    missed = [
        name
        for name in trained_parameters(cfg, plain.model)
        if gradients[name] is None or amp_gradients[name] is None
    ]
    figures = dict(
        loss=loss,
        amp=amp,
        loss_amp=amp_loss,
        gradient_cosine=_cosine(gradients, amp_gradients),
        parameters=len(gradients),
        without_gradient=len(missed),
    )
    return dict(figures, fault=_fault(figures, missed, plain.model))


def amp_precision(device: str) -> str:
    """Return what ``mspose train --amp`` computes in; on a CPU bfloat16, fast or not.

    Args:
        device: such as ``'cuda'``.
    """
    kind = torch.device(device).type
    return 'fp16' if kind == 'cuda' and not fast_bfloat16(kind) else 'bf16'


def trained_parameters(cfg: Config, model: nn.Module) -> list[str]:
    """Return the names of the parameters that a config trains, in one of its stages if it has any.

    Args:
        cfg: run config.
        model: its network.
    """
    hook = cfg.get('default_hooks', {}).get('stages') or {}
    stages = [Stage.parse(i, entry) for i, entry in enumerate(hook.get('stages', ()))]
    return [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and (not stages or any(stage.trains(name) for stage in stages))
    ]


def _backward(of: step.Step) -> tuple[float, dict[str, Tensor | None]]:
    """Return the loss, and copies of the gradients by the parameters' names."""
    of.wrapper.zero_grad()
    loss = of.forward()
    of.wrapper.backward(loss)
    gradients = {
        name: None if p.grad is None else p.grad.clone() for name, p in of.model.named_parameters()
    }
    return loss.item(), gradients


def _cosine(one: Mapping[str, Tensor | None], other: Mapping[str, Tensor | None]) -> float:
    pairs = [
        (a.double(), b.double())
        for a, b in zip(one.values(), other.values())
        if a is not None and b is not None
    ]
    products = torch.stack(
        [torch.stack([(a * b).sum(), (a * a).sum(), (b * b).sum()]) for a, b in pairs]
    ).sum(0)
    product, square, other_square = products.tolist()
    return product / (square * other_square) ** 0.5


def _fault(figures: dict[str, Any], missed: list[str], model: nn.Module) -> str:
    """Say what is wrong with a step, if anything is."""
    if not all(torch.isfinite(p).all() for p in model.parameters()):
        return 'weights that are not finite after the step'
    if missed:
        return f'no gradient reaches {missed[0]}'
    difference = abs(figures['loss_amp'] - figures['loss']) / abs(figures['loss'])
    if not difference <= _DIFFERENCE:
        return f'the losses differ by {difference:.1%}'
    return ''
