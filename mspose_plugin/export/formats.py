"""The formats: how a graph becomes a file, and how a file is run.

ONNX and OpenVINO files are data: reading one runs nothing that its author wrote. TorchScript and
PyTorch's exported programs are code: ``torch.jit.load`` compiles the functions in the file, which
may read and write other files, and ``torch.export.load`` unpickles (``weights_only=False``). Those
are opened only for who says that the file is trusted; their descriptions, plain entries of a zip
file, can be read without.
"""

from __future__ import annotations

import copy
import importlib
import io
import os
import warnings
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from mspose_plugin.export.description import KEY, Description
from mspose_plugin.export.graph import OUTPUT_NAMES, PoseGraph
from mspose_plugin.utils.checks import check, refused
from mspose_plugin.utils.errors import InputError

Run = Callable[[Tensor], tuple[Tensor, ...]]
"""Images on a device -> outputs there."""
Calibration = Iterable[Tensor]
"""Batches of what goes into a graph."""
INPUT_NAME = 'images'
MAX_DESCRIPTION = 1 << 24
"""Bytes of a description, beyond which a file is refused."""
_TYPES = dict(fp32=torch.float32, fp16=torch.float16, bf16=torch.bfloat16)


@dataclass(frozen=True)
class Format:
    """A format of files.

    Args:
        ending: of the file's name.
        precisions: that a file can have.
        packages: what writing and running needs.
        write: writes a graph to a path, in the precision of its description; int8 takes batches
            for calibration.
        read: returns the text of a file's description, None where it has none.
        start: makes what runs a file on a device.
        holds_code: opening a file may run what its author wrote.
        parts: endings of all files that belong together, the one that names them last.
    """

    ending: str
    precisions: tuple[str, ...]
    packages: tuple[str, ...]
    write: Callable[[PoseGraph, str, Calibration | None], None]
    read: Callable[[str], str | None]
    start: Callable[[str, Description, torch.device], Run]
    holds_code: bool = False
    parts: tuple[str, ...] = ()


def need(package: str) -> Any:
    """Import an optional package.

    Args:
        package: its name.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as e:
        raise InputError(
            f"{package} is missing: run pip install {package}, or 'mspose-plugin[export,int8]'"
        ) from e


def _exported(graph: PoseGraph) -> torch.export.ExportedProgram:
    """Return the graph as PyTorch's exporter sees it, for batches of any size."""
    batch = torch.export.Dim('batch')
    with torch.no_grad():
        return torch.export.export(graph, (graph.example(),), dynamic_shapes=({0: batch},))


# ---------------------------------------------------------------- ONNX


def _to_onnx(graph: PoseGraph) -> Any:
    """Return the graph as an ONNX model."""
    onnx, names = need('onnx'), graph.output_names
    need('onnxscript')
    program = torch.onnx.export(
        _exported(graph),
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


def _write_onnx(graph: PoseGraph, path: str, calibration: Calibration | None) -> None:
    _save(_to_onnx(graph).SerializeToString(), path)


def _save(data: bytes, path: str) -> None:
    with open(path, 'wb') as f:
        f.write(data)


def _read_onnx(path: str) -> str | None:
    onnxruntime = need('onnxruntime')
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    return session.get_modelmeta().custom_metadata_map.get(KEY)


def _start_onnx(path: str, description: Description, device: torch.device) -> Run:
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


# ---------------------------------------------------------------- OpenVINO


@cache
def _core() -> Any:
    """Return OpenVINO's core, one that lasts as long as the process.

    A core sets a stack for signals and puts back the one before when it goes: of two, the second
    to go would put back the first one's, which is freed, and the next signal ends the process.
    """
    return need('openvino').Core()


def _write_openvino(graph: PoseGraph, path: str, calibration: Calibration | None) -> None:
    openvino, described = need('openvino'), graph.description
    data = _to_onnx(graph).SerializeToString()  # its own reader of PyTorch takes ten times longer
    model = _core().read_model(io.BytesIO(data))
    if described.precision == 'int8':
        from mspose_plugin.export.quantization import quantized

        assert calibration is not None
        model = quantized(model, calibration)
    model.set_rt_info(described.to_json(), KEY)
    openvino.save_model(model, path, compress_to_fp16=described.precision == 'fp16')


def _read_openvino(path: str) -> str | None:
    weights = path.removesuffix('.xml') + '.bin'
    check(os.path.isfile(weights), f'{path}: its weights, {weights}, are missing')
    model = _core().read_model(path, weights)
    return model.get_rt_info(KEY).astype(str) if model.has_rt_info(KEY) else None


def _start_openvino(path: str, description: Description, device: torch.device) -> Run:
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


# ---------------------------------------------------------------- PyTorch


def _write_torchscript(graph: PoseGraph, path: str, calibration: Calibration | None) -> None:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')  # of shapes that are constants, and of its deprecation
        traced = torch.jit.trace(graph, graph.example(), check_trace=False)
        torch.jit.save(traced, path, _extra_files={KEY: graph.description.to_json()})


def _write_pt2(graph: PoseGraph, path: str, calibration: Calibration | None) -> None:
    torch.export.save(_exported(graph), path, extra_files={KEY: graph.description.to_json()})


def _read_zip(path: str) -> str | None:
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


# ---------------------------------------------------------------- all of them

FORMATS: dict[str, Format] = dict(
    onnx=Format(
        '.onnx',
        ('fp32', 'fp16'),
        ('onnx', 'onnxscript', 'onnxruntime'),
        _write_onnx,
        _read_onnx,
        _start_onnx,
        parts=('.onnx',),
    ),
    openvino=Format(
        '.xml',
        ('fp32', 'fp16', 'bf16', 'int8'),
        ('onnx', 'onnxscript', 'openvino'),
        _write_openvino,
        _read_openvino,
        _start_openvino,
        parts=('.bin', '.xml'),
    ),
    torchscript=Format(
        '.torchscript',
        ('fp32', 'fp16', 'bf16'),
        (),
        _write_torchscript,
        _read_zip,
        _start_torchscript,
        holds_code=True,
        parts=('.torchscript',),
    ),
    pt2=Format(
        '.pt2',
        ('fp32', 'fp16', 'bf16'),
        (),
        _write_pt2,
        _read_zip,
        _start_pt2,
        holds_code=True,
        parts=('.pt2',),
    ),
)
"""By name, as ``mspose export --format`` takes them."""


def format_of(path: str) -> Format | None:
    """Return the format that a file's name says, None for any other file."""
    found = [f for f in FORMATS.values() if path.endswith(f.ending)]
    return found[0] if found else None


class ExportedFile:
    """An exported file, opened.

    Args:
        path: the file.
        trust_code: run a file of a format that holds code. Default: False.

    Raises:
        InputError: no such file, not an exported one, a format that holds code, or a missing
            package.
    """

    def __init__(self, path: str, trust_code: bool = False) -> None:
        found = format_of(path)
        endings = ', '.join(f.ending for f in FORMATS.values())
        check(found, f'{path}: expected an exported file, with a name ending in {endings}')
        check(os.path.isfile(path), f'{path}: no such file; check the path')
        assert found is not None
        self.path, self.format = path, found
        with refused(f'{path}: cannot be read'):
            text = found.read(path)
        if text is None:
            raise InputError(f'{path}: no description in it; make the file with mspose export')
        self.description = Description.from_json(text, path)
        check(
            trust_code or not found.holds_code,
            f'{path}: a file of this format holds code, which runs when it is opened; if you trust '
            'it, say trust_code=True (--trust-code), or ask for an ONNX or OpenVINO file',
        )
        self._runs: dict[torch.device, Run] = {}

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        """Run the network.

        Args:
            images: what the description says, on any device.

        Returns:
            The outputs that it names, on the same device.

        Raises:
            InputError: the file cannot be run, or gives other outputs.
        """
        with refused(f'{self.path}: cannot be run', RuntimeError, ValueError, TypeError):
            if images.device not in self._runs:
                start = self.format.start(self.path, self.description, images.device)
                self._runs[images.device] = start
            outputs = self._runs[images.device](images)
        expected = len(OUTPUT_NAMES[self.description.output])
        fits = len(outputs) == expected and all(
            o.shape[:2] == (len(images), len(o[0]) if len(o) else 0) for o in outputs
        )
        check(fits, f'{self.path}: other outputs than its description says')
        return outputs


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
