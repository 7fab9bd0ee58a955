"""A training step without data: a network, an optimizer wrapper and a loss, in some precision."""

from __future__ import annotations

import os
import shutil
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from torch import Tensor, nn

from mspose_plugin.models.layers import HourglassStack
from mspose_plugin.utils import untrained
from mspose_plugin.utils.reference_hourglass import Princeton

WRAPPERS: dict[str, dict[str, Any]] = dict(
    fp32=dict(type='OptimWrapper'),
    tf32=dict(type='OptimWrapper'),
    bf16=dict(type='AutocastOptimWrapper', dtype='bfloat16'),
    fp16=dict(type='AmpOptimWrapper', dtype='float16'),
)
"""How a precision is trained in. fp32 is full float32: PyTorch's own default is TF32 in part."""


def use_precision(precision: str) -> None:
    """Let this process compute matrix products and convolutions so.

    Args:
        precision: a key of :data:`WRAPPERS`.
    """
    tf32 = precision != 'fp32'
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32


@dataclass(frozen=True)
class Step:
    """A training step, again and again on the same batch.

    Args:
        model: the network, in training mode.
        wrapper: its optimizer.
        loss: computes the loss.
    """

    model: nn.Module
    wrapper: OptimWrapper
    loss: Callable[[], Tensor]

    def forward(self) -> Tensor:
        """Return the loss."""
        with self.wrapper.optim_context(self.model):
            return self.loss()

    def __call__(self) -> None:
        """Do the step."""
        self.wrapper.update_params(self.forward())


def build_wrapper(cfg: Config, model: nn.Module, precision: str, **changes: Any) -> OptimWrapper:
    """Return a config's optimizer, in a precision.

    Args:
        cfg: run config.
        model: what it optimizes.
        precision: a key of :data:`WRAPPERS`.
        **changes: further arguments of the wrapper.
    """
    own = {k: v for k, v in cfg.optim_wrapper.items() if k not in ('type', 'dtype', 'loss_scale')}
    return build_optim_wrapper(model, dict(own, **WRAPPERS[precision], **changes))


def of_config(
    cfg: Config, batch: int, device: str, precision: str, seed: int, **changes: Any
) -> Step:
    """Return the training step of a config.

    Args:
        cfg: run config.
        batch: number of persons.
        device: of the network.
        precision: a key of :data:`WRAPPERS`.
        seed: of weights and images.
        **changes: further arguments of the optimizer wrapper.
    """
    use_precision(precision)
    torch.manual_seed(seed)
    model: Any = untrained.build(cfg).to(device).train()
    width, height = untrained.codec(cfg)['input_size']
    images = list(torch.randint(256, (batch, 3, height, width), dtype=torch.uint8))
    people = dict(inputs=images, data_samples=untrained.samples(cfg, batch))
    data = model.data_preprocessor(people, True)

    def loss() -> Tensor:
        return model.parse_losses(model.loss(**data))[0]

    return Step(model, build_wrapper(cfg, model, precision, **changes), loss)


def of_plain_hourglass(cfg: Config, batch: int, device: str, precision: str, seed: int) -> Step:
    """Return that of the published stacked hourglass, of a config's stacks, width and optimizer.

    Args:
        cfg: run config of a :class:`MultiScaleHourglass`.
        batch: number of persons.
        device: of the network.
        precision: a key of :data:`WRAPPERS`.
        seed: of weights, images and targets.
    """
    use_precision(precision)
    torch.manual_seed(seed)
    backbone, (width, height) = cfg.model.backbone, untrained.codec(cfg)['input_size']
    keypoints = backbone.get('num_keypoints', 16)
    model = Princeton(backbone.get('num_stacks', 8), backbone.get('channels', 256), keypoints)
    model = model.to(device).train()
    images = torch.rand(batch, 3, height, width, device=device)
    target = torch.rand(batch, keypoints, height // 4, width // 4, device=device)

    def loss() -> Tensor:
        return torch.stack([(h.float() - target).square().mean() for h in model(images)]).sum()

    return Step(model, build_wrapper(cfg, model, precision), loss)


def without_compiler() -> str:
    """Return what ``torch.compile`` lacks to build its code for a GPU here, if anything."""
    compilers = [os.environ['CC']] if 'CC' in os.environ else ['gcc', 'clang']
    if not any(map(shutil.which, compilers)):
        return f'torch.compile finds no C compiler ({", ".join(compilers)}): install one or set CC'
    header = Path(sysconfig.get_path('include', 'posix_prefix'), 'Python.h')
    return '' if header.is_file() else f'torch.compile finds no {header}: install python3-dev'


def compile_stacks(model: nn.Module) -> None:
    """Compile every hourglass: they are alike, so that one compilation serves all.

    Args:
        model: a network of hourglasses; the rest of it stays as it is.
    """
    for module in model.modules():
        if isinstance(module, HourglassStack):
            module.compile(dynamic=False)
