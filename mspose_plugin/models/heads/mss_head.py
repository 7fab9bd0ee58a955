"""Multi-scale supervision of the stacked hourglass.

Ke, Chang, Qi, Lyu, "Multi-Scale Structure-Aware Network for Human Pose Estimation", ECCV 2018,
§3.1, Eq. 1: heatmaps of every level of every stack are compared with the ground truth at their
scale. The paper says that the ground truth is down-sampled; max-pooling, which keeps the peak at
1, is this project's choice among ``downsample``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import Tensor

from mspose_plugin.models.heads.base_heatmap_head import BaseHeatmapHead, heatmap_accuracy
from mspose_plugin.models.layers import HourglassOutput
from mspose_plugin.utils.checks import check_choice

Heatmaps = tuple[tuple[Tensor, ...], ...]
"""A tuple over stacks of tuples over levels, coarse -> fine, of heatmaps ``[B, K, h, w]``."""

_DOWNSAMPLE: dict[str, Callable[..., Tensor]] = {
    'max': F.adaptive_max_pool2d,
    'average': F.adaptive_avg_pool2d,
    'bilinear': lambda x, size: F.interpolate(x, size, mode='bilinear', align_corners=False),
}


@MODELS.register_module()
class MSSHead(BaseHeatmapHead):
    """Loss, flip testing and decoding for the heatmaps of a multi-scale hourglass.

    The head has no parameters: the predictors belong to the backbone, since every stack reads
    the heatmaps of the one before. Keypoints are decoded from the finest heatmaps of the last
    stack.

    Args:
        loss: config of a loss ``(output, target, target_weights) -> scalar``, applied at
            every level of every stack. Pixels are to be summed (Eq. 1): with a mean the coarse
            levels would outweigh the finest. Defaults to ``dict(type='StructureAwareLoss')``,
            which without ``alpha`` is the plain multi-scale loss.
        downsample: how the ground truth reaches the coarser levels: ``'max'``,
            ``'average'`` or ``'bilinear'``. Defaults to ``'max'``.
        decoder: codec that turns heatmaps into keypoints. Defaults to None.
        init_cfg: as in mmengine. Defaults to None.

    Raises:
        InputError: an unknown ``downsample``.
    """

    keypoints_set_in = 'model.backbone.num_keypoints'

    def __init__(
        self,
        loss: dict | None = None,
        downsample: str = 'max',
        decoder: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(decoder, init_cfg)
        check_choice(f'{type(self).__name__}: downsample', downsample, sorted(_DOWNSAMPLE))
        self.downsample = downsample
        self.loss_module = MODELS.build(loss or dict(type='StructureAwareLoss'))

    def forward(self, feats: Heatmaps | HourglassOutput) -> Heatmaps:
        """Return all heatmaps.

        Args:
            feats: output of the backbone.

        Returns:
            A tuple over stacks of tuples over levels, coarse -> fine; ``[-1][-1]`` are the heatmaps
            that keypoints are decoded from.
        """
        return feats.heatmaps if isinstance(feats, HourglassOutput) else feats

    def predict_heatmaps(self, feats: Heatmaps | HourglassOutput) -> dict[str, Tensor]:
        """Return ``heatmaps``, the finest of the last stack, ``[B, K, H, W]``."""
        return dict(heatmaps=self.forward(feats)[-1][-1])

    def named_heatmaps(self, feats: Heatmaps | HourglassOutput) -> dict[str, tuple[Tensor, ...]]:
        """Return all heatmaps by the names of the stacks: ``'stack 1'`` ..., levels as tuples."""
        return {f'stack {i}': levels for i, levels in enumerate(self.forward(feats), 1)}

    def supervised(self, outputs: Heatmaps) -> dict[str, Heatmaps]:
        """Return which stacks are supervised under which name in the log."""
        return dict(loss=outputs)

    def loss(
        self,
        feats: Heatmaps | HourglassOutput,
        batch_data_samples: list[PoseDataSample],
        train_cfg: dict | None = None,
    ) -> dict:
        """Compute the loss of every level, summed over the stacks.

        Args:
            feats: output of the backbone.
            batch_data_samples: the batch, with ``gt_fields.heatmaps``
                ``[K, H, W]`` at the finest level and ``gt_instance_labels.keypoint_weights``
                ``[1, K]``.
            train_cfg: ``compute_acc`` (default True) adds ``acc_pose``.

        Returns:
            ``loss_8x8`` … ``loss_64x64`` (height x width of the heatmaps) and
            ``acc_pose``.

        Raises:
            InputError: heatmaps of another size or number than the data's.
        """
        outputs = self.forward(feats)
        finest = outputs[-1][-1]
        target, weights = self.ground_truth(batch_data_samples, finest)
        # once for each level, whatever the number of stacks
        targets = {tuple(h.shape[-2:]): self._downsample(target, h.shape[-2:]) for h in outputs[-1]}
        losses = {}
        for name, stacks in self.supervised(outputs).items():
            for heatmaps in zip(*stacks):
                height, width = heatmaps[0].shape[-2:]
                losses[f'{name}_{height}x{width}'] = sum(
                    self.loss_module(h, targets[height, width], weights) for h in heatmaps
                )
        if (train_cfg or {}).get('compute_acc', True):
            losses['acc_pose'] = heatmap_accuracy(finest.detach(), target, weights)
        return losses

    def _downsample(self, target: Tensor, size: Sequence[int]) -> Tensor:
        if target.shape[-2:] == size:
            return target
        return _DOWNSAMPLE[self.downsample](target, tuple(size))
