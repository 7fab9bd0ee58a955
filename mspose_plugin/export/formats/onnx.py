"""ONNX, run by ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mspose_plugin.export.description import KEY, Description
from mspose_plugin.export.formats.base import INPUT_NAME, Calibration, Format, Run, exported, need
from mspose_plugin.export.graph import PoseGraph


def to_onnx(graph: PoseGraph) -> Any:
    """Return the graph as an ONNX model."""
    onnx, names = need('onnx'), graph.output_names
    need('onnxscript')
    program = torch.onnx.export(
        exported(graph),
        (graph.example(),),
        dynamo=True,
        input_names=[INPUT_NAME],
        output_names=list(names),
        verbose=False,
    )
    assert program is not None
    model = program.model_proto
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = 'batch'
    del model.graph.value_info[:]  # with the exporter's names of the batch
    onnx.helper.set_model_props(model, {KEY: graph.description.to_json()})
    return model


def _write(graph: PoseGraph, path: str, calibration: Calibration | None) -> None:
    Path(path).write_bytes(to_onnx(graph).SerializeToString())


def _read(path: str) -> str | None:
    onnxruntime = need('onnxruntime')
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    return session.get_modelmeta().custom_metadata_map.get(KEY)


def _start(path: str, description: Description, device: torch.device) -> Run:
    """Run by ONNX Runtime, on a GPU where its GPU package is installed, without copies."""
    onnxruntime = need('onnxruntime')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    available = onnxruntime.get_available_providers()
    on_gpu = device.type == 'cuda' and 'CUDAExecutionProvider' in available
    at = (device.type, device.index or 0) if on_gpu else ('cpu', 0)
    providers: list = ['CPUExecutionProvider']
    if on_gpu:
        providers.insert(0, ('CUDAExecutionProvider', dict(device_id=at[1])))
    session = onnxruntime.InferenceSession(path, options, providers=providers)

    def run(images: Tensor) -> tuple[Tensor, ...]:
        images = images.to(at[0]).contiguous()
        if on_gpu:
            torch.cuda.synchronize(device)  # ONNX Runtime has a stream of its own
        binding = session.io_binding()
        binding.bind_input(
            INPUT_NAME, *at, _numpy_type(images), tuple(images.shape), images.data_ptr()
        )
        outputs = []
        for output in session.get_outputs():
            shape = (len(images), *output.shape[1:])
            outputs.append(torch.empty(shape, device=images.device))
            binding.bind_output(
                output.name, *at, _numpy_type(outputs[-1]), shape, outputs[-1].data_ptr()
            )
        session.run_with_iobinding(binding)
        return tuple(output.to(device) for output in outputs)

    return run


def _numpy_type(tensor: Tensor) -> Any:
    return torch.empty(0, dtype=tensor.dtype).numpy().dtype.type


ONNX = Format(
    '.onnx',
    ('fp32', 'fp16'),
    ('onnx', 'onnxscript', 'onnxruntime'),
    _write,
    _read,
    _start,
    parts=('.onnx',),
)
