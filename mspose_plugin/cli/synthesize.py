"""Make a data set of synthetic people in the format of MPII, COCO or FLIC.

What is written:
  mpii  images/, annotations/mpii_{train,val,trainval}.json, annotations/mpii_gt_val.mat (head
        boxes); one annotated person per image, 1-based pixels. As test set that of validation
        without joints: annotations/mpii_test.json, annotations/mpii_human_pose_v1_u12_1.mat
  coco  train2017/, val2017/, annotations/person_keypoints_{train,val}2017.json,
        person_detection_results/COCO_val2017_detections_AP_H_56_person.json, and val again as
        test-dev: test2017/, annotations/image_info_test-dev2017.json, its detector file;
        1 to 4 people per image and their neighbours, all annotated
  flic  images/, examples.mat; upper bodies, left and right as the person's own, 1-based pixels
and synthetic.json, which holds these arguments. The same arguments give the same bytes, whatever
the number of workers.

Example:
  mspose synthesize --layout mpii --out data/synthetic_mpii --train 4000 --val 500
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from mspose_plugin.cli import arguments
from mspose_plugin.cli.output import track
from mspose_plugin.synthetic import Recipe, write_dataset
from mspose_plugin.synthetic.settings import DIFFICULTIES, FRAMINGS
from mspose_plugin.utils.checks import check

MOST = 10_000_000
"""Images of a split; their list has to fit into memory."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add = parser.add_argument
    add('--layout', required=True, choices=list(FRAMINGS), help='format of the data set')
    add('--out', required=True, type=arguments.writable_folder, help='folder to create')
    images = arguments.whole_number(0, MOST)
    add('--train', type=images, default=1000, help='number of training images (default: 1000)')
    add('--val', type=images, default=200, help='number of validation images (default: 200)')
    add(
        '--seed',
        type=arguments.whole_number(0),
        default=0,
        help='seed of all randomness (default: 0)',
    )
    add(
        '--difficulty',
        default='normal',
        choices=list(DIFFICULTIES),
        help='how much clutter, crowding and occlusion (default: normal)',
    )
    add(
        '--change',
        nargs='+',
        action=arguments.KeyValues,
        default={},
        metavar='KEY=VALUE',
        help='settings of the difficulty, e.g. occluder=0 distance=3,6 without=lens,noise',
    )
    sizes = ', '.join(f'{k} {f.size[0]} {f.size[1]}' for k, f in FRAMINGS.items())
    add(
        '--size',
        type=arguments.positive_int,
        nargs='+',
        metavar='PX',
        help=f'image width and height, or one number for both (default: {sizes})',
    )
    quality = arguments.whole_number(1, 100)
    add('--quality', type=quality, default=90, help='JPEG quality (default: 90)')
    add(
        '--workers',
        type=arguments.whole_number(1, 1024),
        default=os.cpu_count() or 1,
        help='number of processes (default: number of CPUs)',
    )
    add('--overwrite', action='store_true', help='replace OUT if this command made it')


def progress(chunks: Iterable[list], total: int) -> Iterator[list]:
    """Pass chunks of images on and show how many are done."""
    return track(chunks, 'images', total, len)


def main(args: argparse.Namespace) -> None:
    """Make the data set that the command line describes."""
    size = args.size and (args.size[0], args.size[-1])
    check(len(args.size or ()) <= 2, f'--size takes one or two numbers, got {args.size}')
    recipe = Recipe(
        args.layout,
        args.train,
        args.val,
        args.seed,
        args.difficulty,
        size,
        args.quality,
        args.change,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing half-made stays
    start = time.monotonic()
    try:
        write_dataset(recipe, Path(args.out), args.workers, args.overwrite, progress)
    except KeyboardInterrupt:
        print('\nstopped, nothing written', file=sys.stderr)
        sys.exit(130)
    count, seconds = args.train + args.val, time.monotonic() - start
    print(f'{args.out}: {count} images in {seconds:.1f} s ({count / seconds:.0f}/s)')
