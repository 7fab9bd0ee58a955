"""Everything that a network predicts for one person: every stack, every level, every stage.

What is decoded is the last level of the last prediction; the others show how the network gets
there, as the paper's figures do (Ke et al., ECCV 2018; Fig. 3: scales and stacks, Fig. 4: before
and after regression).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import torch
from mmpose.models.heads import BaseHead
from mmpose.models.pose_estimators import TopdownPoseEstimator
from mmpose.models.utils.tta import flip_heatmaps
from torch import Tensor

from mspose_plugin.apis.pose_result import keypoint_names
from mspose_plugin.utils.checks import check, check_choice


@dataclass(frozen=True, eq=False)
class PersonHeatmaps:
    """All heatmaps of one person.

    Args:
        predictions: name -> heatmaps of its levels, coarse -> fine, each ``[K, h, w]``; in the
            order in which the network makes them. An MSSPose network has ``'stack 1'`` ... and,
            with its regression network, ``'regression'``; MLPE ``'levels'`` and ``'fine network'``;
            other networks ``'heatmaps'``.
        names: of the K keypoints.
        image: what the network sees, ``[H, W, 3]``, uint8, BGR; the heatmaps cover all of it.
        crop: ``[4]``, x1, y1, x2, y2: where that is in the original image, in pixels.
    """

    predictions: dict[str, tuple[np.ndarray, ...]] = field(repr=False)
    names: tuple[str, ...]
    image: np.ndarray = field(repr=False)
    crop: np.ndarray

    def of(self, keypoint: str) -> dict[str, tuple[np.ndarray, ...]]:
        """Return a keypoint's heatmaps ``[h, w]``: name of the prediction -> levels.

        Args:
            keypoint: one of ``names``.

        Raises:
            InputError: another name.
        """
        check_choice('keypoint', keypoint, self.names)
        k = self.names.index(keypoint)
        return {name: tuple(level[k] for level in p) for name, p in self.predictions.items()}


def all_heatmaps(model: TopdownPoseEstimator, data: Mapping[str, Any]) -> PersonHeatmaps:
    """Run a model on one person and keep all heatmaps.

    Args:
        model: a top-down pose estimator in evaluation mode. Where its ``test_cfg`` has
            ``flip_test``, all heatmaps are means with those of the mirror image, so that the last
            ones are those that keypoints are decoded from.
        data: a batch of one, as for ``model.test_step``.

    Raises:
        InputError: the model predicts no heatmaps.
    """
    names = keypoint_names(model.dataset_meta)
    batch = model.data_preprocessor(data, False)
    inputs, test_cfg = batch['inputs'], model.test_cfg
    views = [inputs, inputs.flip(-1)] if test_cfg.get('flip_test') else [inputs]
    maps, *mirrored = (_named(model.head, model.extract_feat(v), len(names)) for v in views)
    check(maps, f'all_heatmaps: {type(model.head).__name__} predicts no heatmaps')
    sample = batch['data_samples'][0].metainfo
    if mirrored:
        options = dict(
            flip_indices=sample['flip_indices'],
            flip_mode='heatmap',
            shift_heatmap=test_cfg.get('shift_heatmap', False),
        )
        maps = {
            name: [0.5 * (h + flip_heatmaps(m, **options)) for h, m in zip(levels, other)]
            for (name, levels), other in zip(maps.items(), mirrored[0].values())
        }
    center, scale = np.ravel(sample['input_center']), np.ravel(sample['input_scale'])
    return PersonHeatmaps(
        {name: tuple(h[0].float().cpu().numpy() for h in levels) for name, levels in maps.items()},
        names,
        data['inputs'][0].permute(1, 2, 0).clamp(0, 255).to(torch.uint8).cpu().numpy(),
        np.concatenate([center - scale / 2, center + scale / 2]),
    )


def _named(head: BaseHead, feats: Any, keypoints: int) -> dict[str, list[Tensor]]:
    """Return the heatmaps of any head; the project's name theirs, MMPose's have one or a list."""
    if hasattr(head, 'named_heatmaps'):
        return {name: list(levels) for name, levels in head.named_heatmaps(feats).items()}
    found = [h for h in _tensors(head(feats)) if h.ndim == 4 and h.shape[1] == keypoints]
    return dict(heatmaps=found) if found else {}


def _tensors(outputs: Any) -> list[Tensor]:
    if isinstance(outputs, Tensor):
        return [outputs]
    inner = outputs if isinstance(outputs, list | tuple) else []
    return [tensor for part in inner for tensor in _tensors(part)]


def overlay(image: np.ndarray, heatmap: np.ndarray, opacity: float = 0.85) -> np.ndarray:
    """Lay a heatmap over an image: colours from blue (0) to red (1), the stronger the more opaque.

    Args:
        image: ``[H, W, 3]``, uint8, BGR.
        heatmap: ``[h, w]``, which covers all of it; values beyond 0 and 1 count as these.
        opacity: where the heatmap is 1, 0 to 1. Default: 0.85.

    Returns:
        A new image ``[H, W, 3]``, uint8, BGR.
    """
    height, width = image.shape[:2]
    # cells stay visible: how coarse a level is belongs to what is seen
    cells = cv2.resize(heatmap.clip(0, 1), (width, height), interpolation=cv2.INTER_NEAREST)
    colours = cv2.applyColorMap((cells * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
    share = opacity * np.sqrt(cells)[..., None]  # low values, too, are to be seen
    return (image * (1 - share) + colours * share).round().astype(np.uint8)
