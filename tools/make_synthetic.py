"""Make a data set of synthetic people in the format of MPII, COCO or FLIC."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from mspose_plugin.cli import common as cli
from mspose_plugin.synthetic import Recipe, write_dataset
from mspose_plugin.synthetic.settings import DIFFICULTIES, FRAMINGS

MOST = 10_000_000
"""Images of a split; their list has to fit into memory."""

EPILOG = """\
what is written:
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

example:
  python tools/make_synthetic.py --layout mpii --out data/synthetic_mpii --train 4000 --val 500
"""


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = cli.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--layout', required=True, choices=list(FRAMINGS), help='format of the data set')
    add('--out', required=True, type=cli.writable_folder, help='folder to create')
    add('--train', type=cli.whole_number(0, MOST), default=1000,
        help='number of training images (default: 1000)')  # fmt: skip
    add('--val', type=cli.whole_number(0, MOST), default=200,
        help='number of validation images (default: 200)')  # fmt: skip
    add('--seed', type=cli.whole_number(0), default=0, help='seed of all randomness (default: 0)')
    add('--difficulty', default='normal', choices=list(DIFFICULTIES),
        help='how much clutter, crowding and occlusion (default: normal)')  # fmt: skip
    sizes = ', '.join(f'{k} {f.size[0]} {f.size[1]}' for k, f in FRAMINGS.items())
    add('--size', type=cli.positive_int, nargs='+', metavar='PX',
        help=f'image width and height, or one number for both (default: {sizes})')  # fmt: skip
    add('--quality', type=cli.whole_number(1, 100), default=90, help='JPEG quality (default: 90)')
    add('--workers', type=cli.whole_number(1, 1024), default=os.cpu_count() or 1,
        help='number of processes (default: number of CPUs)')  # fmt: skip
    add('--overwrite', action='store_true', help='replace OUT if this tool made it')
    args = parser.parse_args(argv)
    if args.size is not None and len(args.size) > 2:
        parser.error(f'--size takes one or two numbers, got {len(args.size)}')
    try:
        args.recipe = Recipe(
            args.layout, args.train, args.val, args.seed, args.difficulty,
            (args.size[0], args.size[-1]) if args.size else None, args.quality,
        )  # fmt: skip
    except ValueError as error:
        parser.error(str(error))
    return args


def progress(chunks: Iterable[list], total: int) -> Iterator[list]:
    """Pass chunks on and, on a terminal, show how many of the images are done."""
    done, start = 0, time.monotonic()
    for chunk in chunks:
        yield chunk
        done += len(chunk)
        if sys.stderr.isatty():
            rate = done / (time.monotonic() - start)
            bar = '#' * (30 * done // total)
            end = '\n' if done == total else ''
            print(f'\r[{bar:<30}] {done}/{total} images, {rate:.0f}/s', end=end, file=sys.stderr)


def main(argv: list[str] | None = None) -> None:
    """Make the data set that the command line describes."""
    args = parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing half-made stays
    start = time.monotonic()
    try:
        write_dataset(args.recipe, Path(args.out), args.workers, args.overwrite, progress)
    except KeyboardInterrupt:
        print('\nstopped, nothing written', file=sys.stderr)
        sys.exit(130)
    count, seconds = args.train + args.val, time.monotonic() - start
    print(f'{args.out}: {count} images in {seconds:.1f} s ({count / seconds:.0f}/s)')


if __name__ == '__main__':
    cli.run(main)
