"""Exported files."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator

import torch

from mspose_plugin.benchmarks.timing import Comparison
from mspose_plugin.benchmarks.workloads import check_runs_on, exported, pose_graph
from mspose_plugin.cli import arguments
from mspose_plugin.cli.configs import load_config
from mspose_plugin.export.files import ExportedFile
from mspose_plugin.export.formats import FORMATS
from mspose_plugin.export.graph import PoseGraph


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    arguments.add_config(parser)
    parser.set_defaults(device='cpu')
    parser.add_argument('--batch', type=arguments.positive_int, default=1, help='default: 1')
    parser.add_argument(
        '--formats',
        nargs='+',
        choices=list(FORMATS),
        default=['onnx', 'openvino'],
        help='default: onnx openvino',
    )


def comparisons(args: argparse.Namespace) -> Iterator[Comparison]:
    """A config's network in PyTorch, in float32, against its exported files."""
    cfg = load_config(args.config, args.cfg_options)
    with tempfile.TemporaryDirectory() as folder:
        for name in args.formats:
            check_runs_on(name, args.device)
            for precision in FORMATS[name].precisions:
                graph = pose_graph(cfg, precision)
                yield _comparison(graph, exported(graph, name, folder), args, name)


def _comparison(
    graph: PoseGraph, file: ExportedFile, args: argparse.Namespace, name: str
) -> Comparison:
    images, precision = graph.example(args.batch).to(args.device), graph.description.precision
    graph.to(args.device)

    def eager() -> None:
        with torch.no_grad():
            graph(images)

    # the aim is for what is fastest and needs no calibration
    target = 0.4 if (name, precision) == ('openvino', 'bf16') else None
    what = f'{name} {precision} against PyTorch, batch {args.batch}'
    return Comparison(what, eager, lambda: file(images), target)
