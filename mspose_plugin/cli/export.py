"""Export a model to a file that runs without the model's code.

The file is compared with PyTorch before it gets its name: heatmaps and keypoints of drawn people in
batches of several sizes; where it computes with fewer bits, how many keypoints it misses. A file
that differs is not left. It runs in PosePredictor, mspose predict and mspose test, and by ONNX
Runtime, OpenVINO or PyTorch alone; what it says of itself (input size, mean, codec, names,
skeleton) is JSON under the key pose.

Example:
  mspose export hourglass8-mpii --format openvino --precision bf16
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from mspose_plugin.apis.predictor import PosePredictor
from mspose_plugin.cli import arguments
from mspose_plugin.export import comparison
from mspose_plugin.export.description import INPUTS, describe
from mspose_plugin.export.files import ExportedFile
from mspose_plugin.export.formats import FORMATS, format_of, need, write
from mspose_plugin.export.graph import PoseGraph
from mspose_plugin.export.quantization import calibration_batches
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.files import write_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add = parser.add_argument
    add('model', metavar='CONFIG', help='name or path of a config, or a name that MMPose knows')
    add(
        'checkpoint',
        metavar='CHECKPOINT',
        nargs='?',
        type=arguments.checkpoint,
        help='checkpoint file or address (default: those that belong to the name)',
    )
    add('--format', choices=list(FORMATS), help='default: what FILE ends in, else onnx')
    endings = ', '.join(f.ending for f in FORMATS.values())
    add(
        '--out',
        metavar='FILE',
        type=arguments.writable_file(*(f.ending for f in FORMATS.values())),
        help=f'file to write, ending in {endings} (default: the name of the config)',
    )
    add(
        '--input',
        choices=INPUTS,
        default=INPUTS[0],
        help='what the file takes: normalized float32 [B, 3, H, W], or uint8 images [B, H, W, 3] '
        'in BGR or RGB, which it normalizes itself (default: normalized)',
    )
    add(
        '--output',
        choices=['heatmaps', 'keypoints'],
        default='heatmaps',
        help='what it gives: what the network predicts, or keypoints [B, K, 2] in input pixels '
        'and scores [B, K], with the flip test and the decoding inside (default: heatmaps)',
    )
    add('--no-flip', action='store_true', help='no flip testing')
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument(
        '--precision',
        choices=['fp32', 'fp16', 'bf16'],
        default='fp32',
        help='in which the file computes; of an OpenVINO file fp16 is that of its weights '
        '(default: fp32)',
    )
    precision.add_argument(
        '--int8',
        metavar='FOLDER',
        help='quantize an OpenVINO file to int8, calibrated on the images in this folder',
    )
    add(
        '--boxes',
        metavar='FILE',
        help='boxes of the people in FOLDER in COCO\'s result format (default: each image is one '
        'person)',
    )
    add(
        '--max-loss',
        type=arguments.number(0, 100),
        default=comparison.MAX_LOSS,
        metavar='POINTS',
        help='PCKh that fp16, bf16 and int8 may lose (default: %(default)s)',
    )


def main(args: argparse.Namespace) -> None:
    """Export, compare, and give the file its name."""
    name, precision = _format(args), 'int8' if args.int8 else args.precision
    check(not args.boxes or args.int8, '--boxes: goes with --int8')
    offered = FORMATS[name].precisions
    known = f'--format {name}: cannot have {precision}; it can have {", ".join(offered)}'
    check(precision in offered, known)
    check(not args.int8 or os.path.isdir(args.int8), f'--int8 {args.int8}: no such folder')
    for package in (*FORMATS[name].packages, *(['nncf'] if args.int8 else [])):
        need(package)
    check(not format_of(args.model), f'{args.model}: is an exported file already')
    out = args.out or os.path.basename(args.model).removesuffix('.py') + FORMATS[name].ending
    reference = _reference(args)
    meta = reference.model.dataset_meta
    described = describe(reference.inferencer.cfg, meta, args.input, args.output, precision)
    graph = PoseGraph(reference.model, described).eval()
    batches = None
    if args.int8:
        batches = calibration_batches(reference, described, args.int8, args.boxes)
    with tempfile.TemporaryDirectory() as folder:
        path = f'{folder}/exported{FORMATS[name].ending}'
        write(graph, name, path, batches)
        report = _compare(graph, reference, path, args.max_loss)
        differs = '; '.join(report.faults)
        check(not report.faults, f'{out}: not written, it differs from PyTorch: {differs}')
        _copy(path, out, FORMATS[name].parts)
    print(_summary(out, graph, report))


def _format(args: argparse.Namespace) -> str:
    """Return the format that ``--format`` or the name of the file says."""
    by_name = [name for name, f in FORMATS.items() if args.out and args.out.endswith(f.ending)]
    name = args.format or (by_name[0] if by_name else 'onnx')
    check(not by_name or by_name == [name], f'--out {args.out}: not the ending of --format {name}')
    return name


def _reference(args: argparse.Namespace) -> PosePredictor:
    """Return the model in PyTorch, which tests as the file will."""
    test_cfg: dict[str, Any] = dict(flip_test=False) if args.no_flip else {}
    predictor = PosePredictor(args.model, args.checkpoint, device='cpu', test_cfg=test_cfg)
    own = predictor.inferencer.cfg.model.get('test_cfg') or {}
    left_out = {key: None for key in ('conditional', 'multi_scale') if own.get(key)}
    if left_out:
        print(f'{", ".join(left_out)} testing is not part of the file; say so where it is run')
        test_cfg |= left_out
        predictor = PosePredictor(args.model, args.checkpoint, device='cpu', test_cfg=test_cfg)
    return predictor


def _compare(
    graph: PoseGraph, reference: PosePredictor, path: str, max_loss: float
) -> comparison.Report:
    report, exported = comparison.Report(), ExportedFile(path, trust_code=True)
    predictor = PosePredictor(path, device='cpu', trust_code=True)
    exact = graph.description.precision == 'fp32'
    if exact and graph.decode is None:
        comparison.compare_outputs(graph, exported, report)
    if exact:
        comparison.compare_keypoints(reference, predictor, report)
    else:
        comparison.compare_pckh(reference, predictor, report, max_loss)
    return report


def _copy(path: str, out: str, endings: tuple[str, ...]) -> None:
    """Write a file and its parts; whoever finds the file finds all of its parts."""
    stems = [p.removesuffix(endings[-1]) for p in (path, out)]
    if len(endings) > 1 and os.path.isfile(out):
        os.unlink(out)
    for ending in endings:
        write_file(stems[1] + ending, Path(stems[0] + ending).read_bytes())


def _summary(out: str, graph: PoseGraph, report: comparison.Report) -> str:
    described = graph.description
    lines = []
    if report.heatmaps is not None:
        lines.append(f'outputs differ from PyTorch\'s by {report.heatmaps:.1g} at most')
    if report.pixels is not None:
        left = f' ({report.left_out} more lie between cells)' if report.left_out else ''
        lines.append(
            f'{report.compared} keypoints of drawn people differ by {report.pixels:.1g} pixels at '
            f'most{left}'
        )
    if report.pckh is not None:
        lines.append(
            f'PCKh {report.pckh[1]:.1f}, of PyTorch {report.pckh[0]:.1f} ({report.reference})'
        )
    outputs = ' and '.join(graph.output_names)
    lines.append(f'wrote {out}: {described.input} images to {outputs}, {described.precision}')
    return '\n'.join(lines)
