"""What a network is timed at: a forward pass or a training step, in one of many modes.

A mode is made of words joined by ``+``: ``fp32`` (as the config is), ``bf16`` (autocast, or an
exported file's precision), ``channels_last``, ``compile`` and the formats of ``mspose export``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmpose.models.heads import CPMHead
from torch import Tensor, nn

from mspose_plugin.export.description import describe
from mspose_plugin.export.files import ExportedFile
from mspose_plugin.export.formats import FORMATS, need, write
from mspose_plugin.export.graph import PoseGraph
from mspose_plugin.utils import untrained
from mspose_plugin.utils.checks import check

Run = Callable[[], object]
"""One repetition."""
WORDS = ('fp32', 'bf16', 'channels_last', 'compile', *FORMATS)
TYPES = dict(fp32=torch.float32, bf16=torch.bfloat16)
RECOMPILED = 256
"""Networks of one class that may be compiled; beyond PyTorch's 8 it would run them uncompiled."""


def read_mode(text: str) -> str:
    """Argument type: a mode of :data:`WORDS`."""
    unknown = set(text.split('+')) - set(WORDS)
    if unknown:
        known = ', '.join(WORDS)
        raise argparse.ArgumentTypeError(f'{text}: expected some of {known}, joined by +')
    return text


def precision_of(mode: str) -> str:
    """Return the precision that a mode computes in."""
    return 'bf16' if 'bf16' in mode.split('+') else 'fp32'


def is_eager(mode: str) -> bool:
    """Return whether PyTorch runs a mode operation by operation."""
    return not {'compile', *FORMATS} & set(mode.split('+'))


def forward(cfg: Config, mode: str, batch: int, device: str) -> Run:
    """Return a run of a config's network, as far as prediction needs it, on a batch.

    Args:
        cfg: run config.
        mode: see above.
        batch: number of images.
        device: such as ``'cpu'``.

    Raises:
        InputError: the network cannot be run so.
    """
    words = mode.split('+')
    graph = pose_graph(cfg, precision_of(mode))
    formats = [word for word in words if word in FORMATS]
    if formats:
        return _exported(graph, formats[0], batch, device)
    graph = _laid_out(graph.to(device), words)
    images = _laid_out(graph.example(batch), words)
    network = _compiled(graph) if 'compile' in words else graph

    def run() -> None:
        with torch.no_grad(), _autocast(device, words):
            network(images)

    return run


def training_step(cfg: Config, mode: str, batch: int, device: str) -> Run:
    """Return a training step of a config's network on random people: loss, gradient, AdamW.

    Args:
        cfg: run config.
        mode: see above.
        batch: number of images.
        device: such as ``'cpu'``.

    Raises:
        InputError: the network cannot be trained so.
    """
    words = mode.split('+')
    check(not FORMATS.keys() & set(words), 'an exported file cannot be trained')
    model = _laid_out(_built(cfg).to(device).train(), words)
    if 'compile' in words:
        for part in untrained.parts(model).values():
            part.forward = _compiled(part.forward)
    if isinstance(model.head, CPMHead) or hasattr(model.head, 'simcc_split_ratio'):
        model.head.forward = _in_float32(model.head.forward)
    width, height = untrained.codec(cfg)['input_size']
    images = _laid_out(torch.randn(batch, 3, height, width, device=device), words)
    model.train_cfg = dict(model.train_cfg or {}, compute_acc=False)  # in NumPy, which has no bf16
    samples = [sample.to(device) for sample in untrained.samples(cfg, batch)]
    # so small a rate that the weights stay as they are, however many repeats
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-12)

    def run() -> None:
        optimizer.zero_grad()
        with _autocast(device, words):
            losses = model.loss(images, samples)
        model.parse_losses(losses)[0].backward()
        optimizer.step()

    return run


def convolution(mode: str, device: str) -> tuple[Run, float]:
    """Return a large convolution in a mode's precision, and its 10^9 multiply-adds.

    3x3 from 256 to 256 channels on 64x64 cells, which keeps a machine busier than the matrix
    products that its libraries have.

    Args:
        mode: see above.
        device: such as ``'cpu'``.
    """
    batch = 1 if torch.device(device).type == 'cpu' else 64
    dtype = TYPES[precision_of(mode)]
    layer = nn.Conv2d(256, 256, 3, padding=1, bias=False).to(device, dtype)
    images = torch.randn(batch, 256, 64, 64).to(device, dtype)
    images, layer = (_laid_out(part, ['channels_last']) for part in (images, layer))

    def run() -> None:
        with torch.no_grad():
            layer(images)

    return run, batch * 256 * 256 * 9 * 64 * 64 / 1e9


def pose_graph(cfg: Config, precision: str) -> PoseGraph:
    """Return a config's network without weights as it is exported: normalized images, heatmaps.

    Args:
        cfg: run config.
        precision: that the file is for.

    Raises:
        InputError: it cannot be exported.
    """
    model = _built(cfg).eval()
    described = describe(cfg, untrained.metainfo(cfg, 'test'), 'normalized', 'heatmaps', precision)
    return PoseGraph(model, described).eval()


def exported(graph: PoseGraph, name: str, folder: str) -> ExportedFile:
    """Write a graph to a file and open it.

    Args:
        graph: in float32.
        name: of the format.
        folder: that takes the file.

    Raises:
        InputError: it cannot be exported.
    """
    precision, kind = graph.description.precision, FORMATS[name]
    known = f'{name} has {", ".join(kind.precisions)}'
    check(precision in kind.precisions, f'no {precision} files of this format; {known}')
    path = f'{folder}/{precision}{kind.ending}'
    write(graph, name, path, [graph.example(4)])
    return ExportedFile(path, trust_code=True)


def check_runs_on(name: str, device: str) -> None:
    """Refuse a format whose files would run on the CPU beside a network that does not.

    Args:
        name: of the format.
        device: of the network.

    Raises:
        InputError: they would.
    """
    if torch.device(device).type == 'cpu' or name not in ('onnx', 'openvino'):
        return
    providers = need('onnxruntime').get_available_providers() if name == 'onnx' else []
    there = 'CUDAExecutionProvider' in providers
    check(there, f'{name} files run on the CPU here; give --device cpu')


def _exported(graph: PoseGraph, name: str, batch: int, device: str) -> Run:
    check_runs_on(name, device)
    images = graph.example(batch).to(device)
    with tempfile.TemporaryDirectory() as folder:
        file = exported(graph, name, folder)
        file(images)  # which reads it
    return lambda: file(images)


def _built(cfg: Config) -> Any:
    return revert_sync_batchnorm(untrained.build(cfg))  # as the Runner does with one process


def _laid_out(part: Any, words: Sequence[str]) -> Any:
    """Return a module or images, channels last where the mode asks for it."""
    return part.to(memory_format=torch.channels_last) if 'channels_last' in words else part


def _compiled(function: Any) -> Any:
    torch._dynamo.config.recompile_limit = RECOMPILED
    # networks share code, and where sizes have differed PyTorch would compile for any size
    return torch.compile(function, fullgraph=True, dynamic=False)


def _in_float32(function: Callable[..., Sequence[Tensor]]) -> Callable[..., list[Tensor]]:
    """Return a function with outputs in float32: some losses of MMPose take them to NumPy."""
    return lambda *args: [output.float() for output in function(*args)]


def _autocast(device: str, words: Sequence[str]) -> AbstractContextManager:
    kind = torch.device(device).type
    return torch.autocast(kind, dtype=torch.bfloat16) if 'bf16' in words else nullcontext()
