"""Exported files."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator

import torch

from mspose_plugin.benchmarks.timing import Comparison
from mspose_plugin.cli import arguments
from mspose_plugin.cli.configs import load_config
from mspose_plugin.export.description import describe
from mspose_plugin.export.formats import FORMATS, ExportedFile, write
from mspose_plugin.export.graph import PoseGraph
from mspose_plugin.utils import untrained
from mspose_plugin.utils.checks import check


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
    from mmpose.apis.inference import dataset_meta_from_config  # after the plugin's adaptations

    cfg = load_config(args.config, args.cfg_options)
    model, meta = untrained.build(cfg).eval(), dataset_meta_from_config(cfg, 'test')
    check(meta, f'config {args.config}: no test set, which names the keypoints')
    with tempfile.TemporaryDirectory() as folder:
        for name in args.formats:
            kind = FORMATS[name]
            for precision in kind.precisions:
                described = describe(cfg, meta, 'normalized', 'heatmaps', precision)
                graph = PoseGraph(model, described).eval()
                path = f'{folder}/{precision}{kind.ending}'
                write(graph, name, path, [graph.example(4)])
                yield _comparison(graph, ExportedFile(path, trust_code=True), args, name)


def _comparison(
    graph: PoseGraph, exported: ExportedFile, args: argparse.Namespace, name: str
) -> Comparison:
    images, precision = graph.example(args.batch).to(args.device), graph.description.precision
    graph.to(args.device)

    def eager() -> None:
        with torch.no_grad():
            graph(images)

    # the aim is for what is fastest and needs no calibration
    target = 0.4 if (name, precision) == ('openvino', 'bf16') else None
    what = f'{name} {precision} against PyTorch, batch {args.batch}'
    return Comparison(what, eager, lambda: exported(images), target)
