"""Find people's keypoints in images and videos.

Writes a picture with the skeletons for every image, a video for every video, and with --save-json
one file of COCO's result format. With --track it follows people through videos: an id and a colour
for each, smooth joints, and a file of tracks beside each video.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mspose_plugin.apis.inputs import has_frames
from mspose_plugin.apis.pose_result import PoseResult
from mspose_plugin.apis.predictor import PosePredictor
from mspose_plugin.cli import arguments, video
from mspose_plugin.cli.output import track
from mspose_plugin.cli.predicting import make_predictor
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.files import write_file, write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add = parser.add_argument
    add(
        'input',
        nargs='+',
        metavar='INPUT',
        help='image, folder of images, pattern, address or video',
    )
    arguments.add_predictor(parser)
    add(
        '--out',
        type=arguments.writable_folder,
        default='predictions',
        metavar='DIR',
        help='folder to write to (default: predictions)',
    )
    boxes = parser.add_mutually_exclusive_group()
    boxes.add_argument(
        '--detector',
        default='whole_image',
        help='where people are looked for: whole_image, torchvision, or a config or name of '
        'MMDetection (default: whole_image)',
    )
    boxes.add_argument('--boxes', metavar='FILE', help='boxes in COCO\'s result format')
    share = arguments.number(0, 1)
    add('--box-score', type=share, default=0.3, help='least score of a person (default: 0.3)')
    add(
        '--min-score',
        type=share,
        default=0.3,
        help='least score of a drawn keypoint (default: 0.3)',
    )
    add('--save-json', action='store_true', help='write predictions.json')
    add('--show-boxes', action='store_true', help='draw the boxes too')
    add('--show-heatmaps', action='store_true', help='draw the heatmaps, not the skeletons')
    add(
        '--conditional', metavar='FILE', help='conditional testing with what mspose calibrate wrote'
    )
    add('--multi-scale', action='store_true', help='multi-scale testing')
    add('--no-flip', action='store_true', help='no flip testing')
    add('--batch-size', type=arguments.positive_int, default=8, help='persons (default: 8)')
    add('--compile', action='store_true', help='compile the network; pays for many images')
    video.add_track_arguments(parser)


def main(args: argparse.Namespace) -> None:
    """Predict and write."""
    video.settle_track_arguments(args)
    test_cfg: dict[str, Any] = dict(output_heatmaps=args.show_heatmaps)
    if args.no_flip:
        test_cfg.update(flip_test=False)
    if args.multi_scale:
        test_cfg.update(multi_scale=True)
    if args.conditional:
        test_cfg.update(conditional=dict(thresholds=args.conditional))
    predictor = make_predictor(
        args,
        detector=args.detector,
        box_score=args.box_score,
        batch_size=args.batch_size,
        compile=args.compile,
        test_cfg=test_cfg,
    )
    names, records, persons = _Names(args.out), [], 0
    for given in args.input:
        for result in _written(predictor, given, names, args):
            records += result.to_coco(_image_id(result))
            persons += len(result)
    if args.save_json:
        write_json(os.path.join(args.out, 'predictions.json'), records)
    found = f'{persons} person{"s" * (persons != 1)}'
    if args.detector == 'whole_image' and not args.boxes:
        found += ', one for each image or frame (--detector torchvision finds several)'
    print(f'{found}; {"videos and tracks" if args.track else "pictures"} are in {args.out}')


def _written(
    predictor: PosePredictor, given: str, names: _Names, args: argparse.Namespace
) -> Iterator[PoseResult]:
    """Predict on one input, write its pictures or its video, and pass the results on."""

    def picture(result: PoseResult) -> np.ndarray:
        if args.show_heatmaps:
            return result.plot_heatmaps()
        return result.plot(min_score=args.min_score, boxes=args.show_boxes)

    if args.track or has_frames(given):
        yield from video.written(predictor, given, names, picture, args)
        return
    single = os.path.exists(given) and not os.path.isdir(given)  # a pipe is one too
    results = predictor.stream([given] if single else given, args.boxes)
    for result in track(results, given, 1 if single else None):
        check(not (single and result.fault), f'{result.fault}')
        if not result.fault:
            write_file(
                names(result.path, '.jpg'), cv2.imencode('.jpg', picture(result))[1].tobytes()
            )
            yield result


def _image_id(result: PoseResult) -> str:
    name = os.path.basename(result.path or 'image')
    return f'{name}:{result.index}' if has_frames(name) else name


class _Names:
    """Names of pictures, each given once, whatever folders the images are in."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.given: set[str] = set()

    def __call__(self, path: str | None, ending: str) -> str:
        stem = Path(path or 'image').stem.replace(':', '_')
        name, number = stem, 1
        while name + ending in self.given:
            number += 1
            name = f'{stem}_{number}'
        self.given.add(name + ending)
        return str(self.folder / (name + ending))
