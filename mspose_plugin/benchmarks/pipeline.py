"""The data pipeline on images of MPII's size."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import count
from typing import Any

import cv2
import numpy as np
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope

from mspose_plugin.benchmarks.timing import Comparison
from mspose_plugin.cli import arguments
from mspose_plugin.cli.configs import load_config

SIZES = ((1280, 720), (1920, 1080))
HEIGHTS = (200, 500)  # of people, pixels
QUALITY = 93  # of the JPEGs, which then have MPII's half a megabyte in the mean


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.set_defaults(device='cpu')
    people = arguments.whole_number(1, 1000)
    parser.add_argument('--people', type=people, default=16, help='per size (default: 16)')


def comparisons(args: argparse.Namespace) -> Iterator[Comparison]:
    """This project's pipeline with keypoint masking against MMPose's without, on large images."""
    cv2.setNumThreads(1)  # as in a data-loading process
    cfg = load_config('msspose_hourglass8_mpii')
    init_default_scope('mmpose')
    ours, standard = Compose(cfg.train_pipeline_masked), Compose(_standard(cfg))
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            path = f'{folder}/{size[0]}.jpg'
            cv2.imwrite(path, _photograph(size), (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
            people = _people(path, size, args.people)
            what = f'{size[0]}x{size[1]} pixels, with keypoint masking against MMPose without'
            yield Comparison(what, _all(standard, people), _all(ours, people), 0.7)


def _standard(cfg: Any) -> list[dict]:
    """Return the pipeline of MMPose's configs for MPII."""
    return [
        dict(type='LoadImage'),
        dict(type='GetBBoxCenterScale'),
        dict(type='RandomFlip', direction='horizontal'),
        dict(type='RandomBBoxTransform', shift_prob=0),
        dict(type='TopdownAffine', input_size=cfg.codec.input_size),
        dict(type='GenerateTarget', encoder=cfg.codec),
        dict(type='PackPoseInputs'),
    ]


def _all(pipeline: Callable[[dict], Any], people: list[dict]) -> Callable[[], None]:
    rounds = count()

    def run() -> None:
        # drawn anew in every round: one draw for all may mirror more images on one side
        np.random.seed(next(rounds))
        for person in people:
            pipeline(deepcopy(person))

    return run


def _photograph(size: tuple[int, int]) -> np.ndarray:
    """Return noise with as much detail at every scale, as photographs have it."""
    rng = np.random.default_rng(0)
    image = np.zeros((size[1], size[0], 3), np.float32)
    for step in (1, 2, 4, 8, 16, 32, 64, 128):
        coarse = rng.normal(0, 2 + 4 * np.log2(step), (size[1] // step, size[0] // step, 3))
        image += cv2.resize(coarse.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    return (image + 127).clip(0, 255).astype(np.uint8)


def _people(path: str, size: tuple[int, int], count: int) -> list[dict]:
    """Return people of all heights within an image, as a data set gives them."""
    rng = np.random.default_rng(1)
    people: list[dict] = []
    for height in np.linspace(*HEIGHTS, count):
        center = np.array([rng.uniform(height / 2, side - height / 2) for side in size])
        half = 1.25 * height / 2
        keypoints = rng.normal(center, (height / 10, height / 5), (1, 16, 2))
        people.append(
            dict(
                img_path=path,
                bbox=np.concatenate([center - half, center + half])[None].astype(np.float32),
                bbox_score=np.ones(1, np.float32),
                keypoints=keypoints.astype(np.float32),
                keypoints_visible=np.ones((1, 16), np.float32),
                flip_indices=[5, 4, 3, 2, 1, 0, 6, 7, 8, 9, 15, 14, 13, 12, 11, 10],
                id=len(people),
                img_id=0,
            )
        )
    return people
