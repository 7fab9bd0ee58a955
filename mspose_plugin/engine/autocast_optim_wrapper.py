"""bfloat16 training on any device, CPUs included."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Run the forward pass under bfloat16 autocast, without loss scaling.

    mmengine's ``AmpOptimWrapper`` refuses to run on a CPU. bfloat16 has the range of float32, so
    that the gradient scaler, which is what needs the GPU there, is not needed here.

    Args:
        **kwargs: as in ``mmengine.optim.OptimWrapper``.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast around the forward pass of ``model``, on the device of its parameters."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield
