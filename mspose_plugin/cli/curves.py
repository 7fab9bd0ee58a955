"""Draw the curves of a training: losses, metrics of the validations, learning rate.

Example:
  mspose curves work_dirs/horse --out horse.png
"""

from __future__ import annotations

import argparse
import os.path as osp

from mspose_plugin.cli import arguments
from mspose_plugin.utils.curves import draw_curves, read_curves

ENDINGS = ('.png', '.pdf', '.svg')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('work_dir', metavar='WORK_DIR', help='folder of the run')
    arguments.add_out(parser, ENDINGS, 'the picture (default: WORK_DIR/curves.png)')


def main(args: argparse.Namespace) -> None:
    """Read and draw."""
    out = args.out or osp.join(args.work_dir, 'curves.png')
    draw_curves(read_curves(args.work_dir), out, osp.basename(osp.normpath(args.work_dir)))
    print(f'{out}: written')
