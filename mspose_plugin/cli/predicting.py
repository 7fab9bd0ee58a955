"""What commands predict with: images, or the test set of a config as a checkpoint predicts it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset, pseudo_collate
from mmpose.apis import init_model
from mmpose.models.pose_estimators.base import BasePoseEstimator
from mmpose.registry import DATASETS
from mmpose.structures import PoseDataSample

from mspose_plugin.apis.predictor import PosePredictor
from mspose_plugin.cli.configs import check_data, require
from mspose_plugin.cli.output import track
from mspose_plugin.utils import untrained


def make_predictor(args: argparse.Namespace, **options: Any) -> PosePredictor:
    """Make the predictor that the arguments of ``arguments.add_predictor`` name.

    Args:
        args: the command's.
        **options: further ones of :class:`~mspose_plugin.apis.predictor.PosePredictor`.

    Raises:
        InputError: a model, weights or options that cannot be used.
    """
    return PosePredictor(
        args.model,
        args.weights,
        device=args.device,
        half=args.half,
        trust_code=args.trust_code,
        **options,
    )


def load(cfg: Config, checkpoint: str, device: str) -> tuple[BasePoseEstimator, BaseDataset]:
    """Build the model with its weights, and the test set.

    Args:
        cfg: run config.
        checkpoint: file or address.
        device: of the model.

    Raises:
        InputError: one of them cannot be built, or the data are missing.
    """
    untrained.check(cfg)
    require(cfg, 'test_dataloader.dataset.pipeline')
    check_data(cfg, 'test')
    model = init_model(cfg, checkpoint, device=device)
    return model, untrained.built(DATASETS, cfg.test_dataloader.dataset, cfg, 'the test data set')


def predict(
    model: BasePoseEstimator, dataset: BaseDataset, chosen: Sequence[int], batch_size: int
) -> Iterator[list[PoseDataSample]]:
    """Predict samples of a data set, with a progress bar.

    Args:
        model: pose estimator.
        dataset: from :func:`load`.
        chosen: indices into it.
        batch_size: samples at a time.

    Yields:
        A batch of predictions.
    """
    starts = range(0, len(chosen), batch_size)
    batches = (chosen[start : start + batch_size] for start in starts)
    for batch in track(batches, 'persons', len(chosen), len):
        with torch.no_grad():
            yield model.test_step(pseudo_collate([dataset[int(i)] for i in batch]))
