"""bfloat16 training on any device, CPUs included."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn

from mspose_plugin.utils.checks import check_choice

_DTYPES = ('auto', 'bfloat16', 'float32')


def fast_bfloat16(device: str = 'cpu') -> bool:
    """Tell whether ``device`` computes bfloat16 itself.

    A CPU without the instructions (AVX512-BF16 or AMX) emulates it, at least six times as slowly as
    float32 (seen with AVX2 only, torch 2.15), and so do GPUs before Ampere.

    Args:
        device: type of the device. Defaults to ``'cpu'``.

    Returns:
        Whether bfloat16 is worth while.
    """
    if device == 'cuda':
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return (
        device != 'cpu'
        or torch.cpu._is_avx512_bf16_supported()
        or torch.cpu._is_amx_tile_supported()
    )


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Run the forward pass under bfloat16 autocast, without loss scaling.

    mmengine's ``AmpOptimWrapper`` refuses to run on a CPU because its gradient scaler needs a GPU.
    bfloat16 has the range of float32 and needs no scaler.

    Args:
        dtype: ``'bfloat16'``, ``'float32'`` (no autocast), or ``'auto'``: float32 on a device
            that would have to emulate bfloat16. Defaults to ``'auto'``.
        **kwargs: as in ``mmengine.optim.OptimWrapper``.

    Raises:
        InputError: another dtype.
    """

    def __init__(self, dtype: str = 'auto', **kwargs) -> None:
        check_choice('AutocastOptimWrapper: dtype', dtype, _DTYPES)
        super().__init__(**kwargs)
        self.dtype = dtype

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast around the forward pass of ``model``, on the device of its parameters."""
        device = next(model.parameters()).device.type
        if self.dtype == 'auto':
            self.dtype = 'bfloat16' if fast_bfloat16(device) else 'float32'
            print_log(
                f'mixed precision: {self.dtype}'
                + (
                    '' if self.dtype == 'bfloat16' else ', since this device only emulates bfloat16'
                ),
                logger='current',
            )
        with (
            super().optim_context(model),
            torch.autocast(device, torch.bfloat16, enabled=self.dtype == 'bfloat16'),
        ):
            yield
