"""Int8 for OpenVINO by nncf, calibrated on people like those that the network will see."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from mmpose.registry import MODELS
from torch import Tensor

from mspose_plugin.apis.predictor import PosePredictor
from mspose_plugin.export.description import Description
from mspose_plugin.export.formats.base import need
from mspose_plugin.export.network import graph_input
from mspose_plugin.utils.checks import check

MAX_IMAGES = 300
"""That nncf looks at; more make no difference (its default)."""


def calibration_batches(
    predictor: PosePredictor, described: Description, folder: str, boxes: str | None
) -> Iterator[Tensor]:
    """Yield what a graph is given for people in images.

    Args:
        predictor: whose pipeline cuts them out.
        described: the graph.
        folder: of images.
        boxes: a detector's file. Default: None, each image is one person.

    Raises:
        InputError: the folder or the file cannot be read.
    """
    prepare = MODELS.build(described.preprocessor())
    for item in islice(predictor.inputs(folder, boxes), MAX_IMAGES):
        data = prepare(predictor.inferencer.collate_fn([item]))
        yield graph_input(described, data['inputs'])


def quantized(model: Any, batches: Iterable[Tensor]) -> Any:
    """Quantise weights and activations to int8.

    Args:
        model: OpenVINO's.
        batches: inputs ``[B, …]`` whose activations are measured.

    Returns:
        The quantised model.

    Raises:
        InputError: nncf is missing, or there is no image.
    """
    # nncf reports its use to its makers, without asking, unless it believes to be tested
    os.environ.setdefault('NNCF_CI', '1')
    nncf = need('nncf')
    nncf.set_log_level('ERROR')
    images = [image[None].numpy() for batch in batches for image in batch]
    check(images, '--int8: no images to calibrate on')
    return nncf.quantize(
        model, nncf.Dataset(images), subset_size=len(images), preset=nncf.QuantizationPreset.MIXED
    )
