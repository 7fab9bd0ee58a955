"""Keypoint masking."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import cv2
import numpy as np
from mmpose.registry import TRANSFORMS

from mspose_plugin.benchmarks.timing import Comparison


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.set_defaults(repeats=500, device='cpu')


def comparisons(args: argparse.Namespace) -> list[Comparison]:
    """KeypointMasking on an image of 256x256 pixels: the crop alone and with it."""
    cv2.setNumThreads(1)  # as in a data-loading process
    crop, masking = (
        TRANSFORMS.build(cfg)
        for cfg in (dict(type='TopdownAffine', input_size=(256, 256)), dict(type='KeypointMasking'))
    )
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (480, 640, 3), np.uint8)

    def persons() -> Iterator[dict]:
        """Yield people whose keypoints spread over half of the crop's height, ever the same."""
        draw = np.random.default_rng(1)
        while True:
            yield dict(
                img=image,
                img_shape=image.shape[:2],
                bbox_center=np.array([[320.0, 240.0]]),
                bbox_scale=np.array([[300.0, 300.0]]),
                bbox_rotation=np.zeros(1),
                keypoints=draw.normal((320, 240), (20, 40), (1, 16, 2)),
                keypoints_visible=np.ones((1, 16)),
            )

    without, masked = persons(), persons()
    return [
        Comparison(
            'KeypointMasking, one image',
            lambda: crop(next(without)),
            lambda: masking(crop(next(masked))),
            1.0,
            'ms',
        )
    ]
