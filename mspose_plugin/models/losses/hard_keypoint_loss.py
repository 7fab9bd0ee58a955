"""Online hard keypoint mining (OHKM).

Chen et al., "Cascaded Pyramid Network for Multi-Person Pose Estimation", CVPR 2018, §3.2; MLPE
(ICRA 2021) trains its fine network with the 8 keypoints of the largest loss. MMPose's
``KeypointOHKMMSELoss`` gives the same values with a loop over keypoints and one over samples.
"""

from __future__ import annotations

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from mspose_plugin.utils.checks import check_number
from mspose_plugin.utils.errors import InputError


@MODELS.register_module()
class HardKeypointMSELoss(nn.Module):
    """Mean squared error of the keypoints with the largest error of each sample.

    Args:
        topk: number of keypoints that count. Defaults to 8.
        loss_weight: factor of the whole. Defaults to 1.0.

    Raises:
        InputError: ``topk`` below 1.
    """

    def __init__(self, topk: int = 8, loss_weight: float = 1.0) -> None:
        super().__init__()
        check_number('HardKeypointMSELoss: topk', topk, 1, whole=True)
        self.topk, self.loss_weight = topk, loss_weight

    def forward(
        self, output: Tensor, target: Tensor, target_weights: Tensor | None = None
    ) -> Tensor:
        """Compute the loss, in float32 (or float64 for such input) also under autocast.

        Args:
            output: predicted heatmaps ``[B, K, H, W]``.
            target: ground-truth heatmaps ``[B, K, H, W]``.
            target_weights: ``[B, K]``, factor of each keypoint's loss before
                the selection, 0 for unlabelled ones. Defaults to None (all 1).

        Returns:
            Scalar, mean over the samples, the selected keypoints and the pixels.

        Raises:
            InputError: ``topk`` larger than K.
        """
        if self.topk > output.shape[1]:
            known = f'at most {output.shape[1]}, the number of keypoints'
            raise InputError(f'HardKeypointMSELoss: topk={self.topk}: expected {known}')
        dtype = torch.promote_types(output.dtype, torch.float32)
        losses = (output.to(dtype) - target.to(dtype)).square().flatten(2).mean(2)
        if target_weights is not None:
            losses = losses * target_weights
        return losses.topk(self.topk, sorted=False).values.mean() * self.loss_weight
