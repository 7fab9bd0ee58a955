"""TorchScript and PyTorch's exported programs."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable

import torch
from torch import Tensor

from mspose_plugin.export.description import KEY, Description
from mspose_plugin.export.formats.base import Calibration, Format, Run, exported
from mspose_plugin.export.graph import PoseGraph
from mspose_plugin.utils.checks import check

MAX_DESCRIPTION = 1 << 24
"""Bytes of a description, beyond which a file is refused."""


def _write_torchscript(graph: PoseGraph, path: str, calibration: Calibration | None) -> None:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')  # of shapes that are constants, and of its deprecation
        traced = torch.jit.trace(graph, graph.example(), check_trace=False)
        torch.jit.save(traced, path, _extra_files={KEY: graph.description.to_json()})


def _write_pt2(graph: PoseGraph, path: str, calibration: Calibration | None) -> None:
    torch.export.save(exported(graph), path, extra_files={KEY: graph.description.to_json()})


def _read(path: str) -> str | None:
    """Read the description of a file of PyTorch, a zip archive."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.filename.endswith(f'/extra/{KEY}'):
                check(entry.file_size <= MAX_DESCRIPTION, f'{path}: its description is too long')
                return archive.read(entry).decode()
    return None


def _start_torchscript(path: str, description: Description, device: torch.device) -> Run:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        module = torch.jit.freeze(torch.jit.load(path, map_location=device).eval())
    return _without_gradients(module)


def _start_pt2(path: str, description: Description, device: torch.device) -> Run:
    from torch.export.passes import move_to_device_pass

    program = torch.export.load(path)
    if device.type != 'cpu':
        program = move_to_device_pass(program, device)
    return _without_gradients(program.module())


def _without_gradients(module: Callable[[Tensor], tuple[Tensor, ...]]) -> Run:
    def run(images: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad():
            return tuple(module(images))

    return run


TORCHSCRIPT = Format(
    '.torchscript',
    ('fp32', 'fp16', 'bf16'),
    (),
    _write_torchscript,
    _read,
    _start_torchscript,
    holds_code=True,
    parts=('.torchscript',),
)
PT2 = Format(
    '.pt2',
    ('fp32', 'fp16', 'bf16'),
    (),
    _write_pt2,
    _read,
    _start_pt2,
    holds_code=True,
    parts=('.pt2',),
)
