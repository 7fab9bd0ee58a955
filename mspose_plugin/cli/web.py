"""Serve a web page that finds people's keypoints in images and shows how.

Drop an image, look at the skeleton, at a joint's heatmaps at every level of every stack, before and
after regression, and at what conditional testing tries. Nothing leaves this machine, and what
visitors send is deleted after an hour and when the server ends.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

from mspose_plugin.cli import arguments
from mspose_plugin.cli.predicting import make_predictor
from mspose_plugin.utils.checks import check
from mspose_plugin.web.uploads import Limits


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add = parser.add_argument
    arguments.add_predictor(parser)
    add(
        '--detector',
        default='whole_image',
        help='finds people: torchvision, or a config or name of MMDetection (default: '
        'whole_image, the image is one person, or the visitor draws boxes)',
    )
    add('--box-score', type=arguments.number(0, 1), default=0.3, help='least score of a person')
    add(
        '--conditional',
        metavar='FILE',
        help='options of conditional testing that mspose calibrate wrote (default: the visitor '
        'chooses a threshold)',
    )
    add(
        '--host',
        default='127.0.0.1',
        help='address to listen on (default: 127.0.0.1, this machine alone); on another one '
        'everybody who reaches it can use the page',
    )
    add(
        '--port',
        type=arguments.whole_number(1, 65535),
        help='default: the first free one from 7860',
    )
    size, pixels = Limits.megabytes, Limits.megapixels
    least = arguments.number(0.01, 10000)
    add('--max-megabytes', type=least, default=size, help=f'of a file (default: {size})')
    add('--max-megapixels', type=least, default=pixels, help=f'of an image (default: {pixels})')


def main(args: argparse.Namespace) -> None:
    """Load the model, then serve the page until Ctrl-C or SIGTERM."""
    check(
        importlib.util.find_spec('gradio'),
        'mspose web needs Gradio: pip install "mspose-plugin[web]"',
    )
    conditional = dict(thresholds=args.conditional) if args.conditional else None
    with tempfile.TemporaryDirectory(prefix='mspose-web-') as folder:
        os.environ['GRADIO_TEMP_DIR'] = folder  # read when Gradio is imported
        os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'
        from mspose_plugin.web.answers import TEST_CFG, Page
        from mspose_plugin.web.layout import serve

        predictor = make_predictor(
            args, detector=args.detector, box_score=args.box_score, test_cfg=TEST_CFG
        )
        if conditional:
            predictor.with_test_cfg(conditional=conditional)  # says now what is wrong with it
        name = args.model if '/' not in args.model else Path(args.model).stem
        limits = Limits(args.max_megabytes, args.max_megapixels)
        page = Page(predictor, f'{name} on {predictor.device}', Path(folder), limits, conditional)
        signal.signal(signal.SIGTERM, _end)  # so that the folder is removed
        try:
            serve(page, args.host, args.port, _say)
        except KeyboardInterrupt:
            print('ended')


def _say(address: str) -> None:
    print(f'open {address} in a browser; Ctrl-C ends the page', flush=True)


def _end(number: int, frame: FrameType | None) -> Any:
    sys.exit(0)
