"""OpenVINO, on a CPU."""

from __future__ import annotations

import io
import os
from functools import cache
from typing import Any

import torch
from torch import Tensor

from mspose_plugin.export.description import KEY, Description
from mspose_plugin.export.formats.base import Calibration, Format, Run, need
from mspose_plugin.export.formats.onnx import to_onnx
from mspose_plugin.export.graph import PoseGraph
from mspose_plugin.utils.checks import check


@cache
def _core() -> Any:
    """Return OpenVINO's core, one that lasts as long as the process.

    A core sets a stack for signals and puts back the one before when it goes: of two, the second
    to go would put back the first one's, which is freed, and the next signal ends the process.
    """
    return need('openvino').Core()


def _write(graph: PoseGraph, path: str, calibration: Calibration | None) -> None:
    openvino, described = need('openvino'), graph.description
    data = to_onnx(graph).SerializeToString()  # its own reader of PyTorch takes ten times longer
    model = _core().read_model(io.BytesIO(data))
    if described.precision == 'int8':
        from mspose_plugin.export.quantization import quantized

        assert calibration is not None
        model = quantized(model, calibration)
    model.set_rt_info(described.to_json(), KEY)
    openvino.save_model(model, path, compress_to_fp16=described.precision == 'fp16')


def _read(path: str) -> str | None:
    weights = path.removesuffix('.xml') + '.bin'
    check(os.path.isfile(weights), f'{path}: its weights, {weights}, are missing')
    model = _core().read_model(path, weights)
    return model.get_rt_info(KEY).astype(str) if model.has_rt_info(KEY) else None


def _start(path: str, description: Description, device: torch.device) -> Run:
    """Run by OpenVINO on the CPU."""
    core = _core()
    options = {
        'INFERENCE_PRECISION_HINT': 'bf16' if description.precision == 'bf16' else 'f32',
        'INFERENCE_NUM_THREADS': torch.get_num_threads(),
        'PERFORMANCE_HINT': 'LATENCY',
    }
    compiled = core.compile_model(core.read_model(path), 'CPU', options)

    def run(images: Tensor) -> tuple[Tensor, ...]:
        outputs = compiled(images.cpu().contiguous().numpy())
        return tuple(
            torch.from_numpy(outputs[i].copy()).to(images.device)
            for i in range(len(compiled.outputs))
        )

    return run


OPENVINO = Format(
    '.xml',
    ('fp32', 'fp16', 'bf16', 'int8'),
    ('onnx', 'onnxscript', 'openvino'),
    _write,
    _read,
    _start,
    parts=('.bin', '.xml'),
)
