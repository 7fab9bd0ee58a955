"""The metric on MPII's validation set."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable

import numpy as np
from mmengine.logging import MMLogger
from mmpose.evaluation.metrics import MpiiPCKAccuracy

from mspose_plugin.benchmarks.timing import Comparison
from mspose_plugin.cli import arguments
from mspose_plugin.evaluation import PCKhAUC


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.set_defaults(device='cpu')
    count = arguments.whole_number(1, 10**6)
    parser.add_argument('--people', type=count, default=2958, help="default: 2958, MPII's")


def comparisons(args: argparse.Namespace) -> list[Comparison]:
    """PCKhAUC, with its curve, against MMPose's PCKh."""
    MMLogger.get_current_instance().setLevel(logging.ERROR)
    samples = _samples(args.people)
    mmpose, ours = MpiiPCKAccuracy(norm_item='head'), PCKhAUC()

    def evaluation(metric: MpiiPCKAccuracy | PCKhAUC) -> Callable[[], object]:
        def run() -> None:
            metric.results.clear()
            metric.process([], samples)
            metric.compute_metrics(metric.results)

        return run

    for metric in (mmpose, ours):
        metric.process([], samples)
    people = f'of {args.people} people'
    return [
        Comparison(
            f'the metric {people}',
            lambda: mmpose.compute_metrics(mmpose.results),
            lambda: ours.compute_metrics(ours.results),
            0.1,
            's',
        ),
        Comparison(
            f'predictions collected and the metric {people}',
            evaluation(mmpose),
            evaluation(ours),
            unit='s',
        ),
    ]


def _samples(count: int) -> list[dict]:
    """Return predictions near what is true, one person a sample."""
    rng = np.random.default_rng(0)
    samples = []
    for i in range(count):
        true = rng.uniform(0, 700, (1, 16, 2))
        found = true + rng.normal(0, 20, true.shape)
        truth = dict(
            keypoints=true,
            keypoints_visible=(rng.random((1, 16)) < 0.9).astype(np.float32),
            head_size=rng.uniform(30, 90, (1, 1)),
        )
        samples.append(dict(id=i, gt_instances=truth, pred_instances=dict(keypoints=found)))
    return samples
