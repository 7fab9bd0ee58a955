"""What a format of files is."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mspose_plugin.export.description import Description
from mspose_plugin.export.graph import PoseGraph
from mspose_plugin.utils.errors import InputError

Run = Callable[[Tensor], tuple[Tensor, ...]]
"""Images on a device -> outputs there."""

Calibration = Iterable[Tensor]
"""Batches of what goes into a graph."""

INPUT_NAME = 'images'


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


def exported(graph: PoseGraph) -> torch.export.ExportedProgram:
    """Return the graph as PyTorch's exporter sees it, for batches of any size."""
    batch = torch.export.Dim('batch')
    with torch.no_grad():
        return torch.export.export(graph, (graph.example(),), dynamic_shapes=({0: batch},))
