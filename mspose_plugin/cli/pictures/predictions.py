"""Draw predictions on samples of the test set into one picture.

A white cross marks the true place of a joint that was missed by more than half a head size, where
the data set gives one.
"""

from __future__ import annotations

import argparse

import cv2
import numpy as np
from mmpose.registry import VISUALIZERS

from mspose_plugin.cli import arguments
from mspose_plugin.cli.configs import load_config
from mspose_plugin.cli.predicting import load, predict
from mspose_plugin.datasets.transforms.loading import LoadImageChecked, to_bgr
from mspose_plugin.utils import picture_grid as grid
from mspose_plugin.utils.checks import check

BATCH = 32


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    arguments.add_config(parser)
    arguments.add_checkpoint(parser)
    arguments.add_grid(parser, num=24, columns=6, size=320)
    arguments.add_device(parser)


def draw(args: argparse.Namespace) -> None:
    """Predict, draw and save."""
    grid.check_size(args.num, args.columns, args.size, args.size)
    cfg = load_config(args.config, args.cfg_options)
    model, dataset = load(cfg, args.checkpoint, args.device)
    persons = len(dataset)
    check(args.num <= persons, f'--num {args.num}: the test set has {persons} persons')
    visualizer = VISUALIZERS.build(
        dict(
            type='PoseLocalVisualizer',
            name='grid',
            radius=max(args.size // 70, 1),
            line_width=max(args.size // 110, 1),
        )
    )
    visualizer.set_dataset_meta(dataset.metainfo)
    chosen = np.random.default_rng(args.seed).permutation(persons)[: args.num].tolist()
    cells = []
    for samples in predict(model, dataset, chosen, BATCH):
        check(
            'input_center' in samples[0].metainfo,
            f'config {args.config}: its test pipeline gives no input_center; expected a top-down '
            'config with PackPoseInputs',
        )
        cells += [_draw(visualizer, sample, args.size) for sample in samples]
    grid.save(cells, args.columns, args.out)


def _draw(visualizer, sample, size: int) -> np.ndarray:
    """Crop a person's box from the image, enlarge it and draw the prediction into it, BGR."""
    center, scale = sample.metainfo['input_center'], sample.metainfo['input_scale']
    zoom = size / float(max(scale))
    shift = size / 2 - zoom * np.asarray(center)
    image = cv2.warpAffine(
        to_bgr(LoadImageChecked().read(sample.metainfo['img_path'])),
        np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]]),
        (size, size),
        flags=cv2.INTER_CUBIC,
        borderValue=(90, 90, 90),
    )
    for instances in (sample.pred_instances, sample.gt_instances):
        instances.keypoints = instances.keypoints * zoom + shift
    pred, gt = sample.pred_instances.keypoints[0], sample.gt_instances.keypoints[0]
    visible = sample.gt_instances.keypoints_visible.reshape(-1) > 0
    picture = visualizer.add_datasample(
        '', image[..., ::-1].copy(), sample, draw_gt=False, kpt_thr=0
    )[..., ::-1].copy()
    if 'head_size' in sample.gt_instances:
        missed = np.linalg.norm(pred - gt, axis=-1) > 0.5 * zoom * float(
            np.ravel(sample.gt_instances.head_size)[0]
        )
        for x, y in gt[visible & missed]:
            cv2.drawMarker(
                picture,
                (round(float(x)), round(float(y))),
                (255, 255, 255),
                cv2.MARKER_TILTED_CROSS,
                size // 20,
                2,
                cv2.LINE_AA,
            )
    return picture
