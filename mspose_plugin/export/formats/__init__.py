"""The formats: how a graph becomes a file, and how a file is run.

ONNX and OpenVINO files are data: reading one runs nothing that its author wrote. TorchScript and
PyTorch's exported programs are code: ``torch.jit.load`` compiles the functions in the file, which
may read and write other files, and ``torch.export.load`` unpickles (``weights_only=False``). Those
are opened only for who says that the file is trusted; their descriptions, plain entries of a zip
file, can be read without.
"""

from __future__ import annotations

import copy

import torch

from mspose_plugin.export.formats.base import Calibration, Format, Run, need
from mspose_plugin.export.formats.onnx import ONNX
from mspose_plugin.export.formats.openvino import OPENVINO
from mspose_plugin.export.formats.pytorch import PT2, TORCHSCRIPT
from mspose_plugin.export.graph import PoseGraph
from mspose_plugin.utils.checks import refused

__all__ = ['FORMATS', 'Calibration', 'Format', 'Run', 'format_of', 'need', 'write']

FORMATS = dict(onnx=ONNX, openvino=OPENVINO, torchscript=TORCHSCRIPT, pt2=PT2)
"""By name, as ``mspose export --format`` takes them."""
_TYPES = dict(fp32=torch.float32, fp16=torch.float16, bf16=torch.bfloat16)


def format_of(path: str) -> Format | None:
    """Return the format that a file's name says, None for any other file."""
    found = [f for f in FORMATS.values() if path.endswith(f.ending)]
    return found[0] if found else None


def write(graph: PoseGraph, name: str, path: str, calibration: Calibration | None = None) -> None:
    """Write a graph to a file.

    Args:
        graph: in float32; not changed.
        name: of the format.
        path: the file, and others beside it for some formats.
        calibration: batches of the graph's input, for int8. Default: None.

    Raises:
        InputError: a package is missing, or the graph cannot be exported.
    """
    dtype = _TYPES.get(graph.description.precision, torch.float32)
    if name != 'openvino' and dtype != torch.float32:
        graph = copy.deepcopy(graph).to(dtype)
    with refused(f'the model cannot be exported as {name}'):
        FORMATS[name].write(graph, path, calibration)
