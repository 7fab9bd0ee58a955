"""Predictions of MLPE: one for every level, and the high-resolution fine network's.

Shao et al., "A Multi-level Network for Human Pose Estimation", ICRA 2021. Every level predicts
heatmaps and is compared with Gaussians that shrink from the coarsest level to the finest. The fine
network brings all levels to the output size with bottlenecks and transposed convolutions and
predicts once more; there the keypoints with the largest loss alone count (OHKM). Keypoints are
decoded from its prediction.

The defaults are the authors' release, which descends from CPN's: Gaussians as OpenCV's blur
kernels of k = 15, 11, 9 and 7 pixels give them (sigma ``0.3 * ((k - 1) / 2 - 1) + 0.8``), half the
mean squared error for every level with peaks for visible keypoints alone, OHKM on labelled ones.
Ours: targets whose peak is 1 in place of 255, with last batch norms that start at 0.1 in place of
1, and tails that end where the codec's do.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import Tensor, nn

from mspose_plugin.models.heads.base_heatmap_head import BaseHeatmapHead, heatmap_accuracy
from mspose_plugin.models.layers import (
    KAIMING_INIT,
    bottleneck,
    conv_bn,
    cut,
    deconv_bn,
    resize,
)
from mspose_plugin.utils.checks import check_choice, check_value
from mspose_plugin.utils.errors import InputError

_NO_VISIBILITY = (
    'MLPEHead: the losses tell occluded keypoints from visible ones, the data does not; put '
    "dict(type='MarkOccluded') after GenerateTarget in train_pipeline, or set "
    "occluded_in_levels='count' and occluded_in_fine=True"
)


@MODELS.register_module()
class MLPEHead(BaseHeatmapHead):
    """Level predictions, fine network, multi-level loss, flip testing and decoding.

    Args:
        num_keypoints: K. Defaults to 17 (COCO).
        channels: channels of the neck's levels and of the fine network. Defaults to 256.
        prediction_kernel: kernel of the last convolution of the level predictions, 3 or
            1. Ours: the authors' "receptive field" is read as this. Defaults to 3.
        sigmas: standard deviation of the target Gaussians, coarse to fine, in
            heatmap pixels; the last is also the fine network's. The first is what the codec
            draws, from which the narrower ones follow. Defaults to ``(2.6, 2.0, 1.7, 1.4)``, the
            release's for inputs of 256x192 (384x288: 3.8, 2.9, 2.3, 1.7).
        loss: config of the loss ``(output, target, target_weights) -> scalar`` of every
            level. Defaults to half of MMPose's ``KeypointMSELoss`` with target weights.
        fine_loss: that of the fine network. Defaults to
            ``dict(type='HardKeypointMSELoss', topk=8)``.
        occluded_in_levels: what keypoints that are labelled but not visible (COCO v = 1)
            are to the levels' losses. ``'empty'``: these, and all that have no label or were
            cropped away, have an empty target that counts (the release). ``'mask'``: they do not
            count (ours). ``'count'``: they count like visible ones, those without a label do not
            (ours). The first two need ``MarkOccluded`` in the training pipeline. Defaults to
            ``'empty'``.
        occluded_in_fine: whether they count in the fine network's loss. False (ours) needs
            ``MarkOccluded``. Defaults to True.
        decoder: codec that turns heatmaps into keypoints. Defaults to None.
        init_cfg: as in mmengine. Defaults to the neck's.

    Raises:
        InputError: a kernel that is even or negative, sigmas that grow, or another
            ``occluded_in_levels``.
    """

    def __init__(
        self,
        num_keypoints: int = 17,
        channels: int = 256,
        prediction_kernel: int = 3,
        sigmas: Sequence[float] = (2.6, 2.0, 1.7, 1.4),
        loss: dict | None = None,
        fine_loss: dict | None = None,
        occluded_in_levels: str = 'empty',
        occluded_in_fine: bool = True,
        decoder: dict | None = None,
        init_cfg: dict | list | None = KAIMING_INIT,
    ) -> None:
        super().__init__(decoder, init_cfg)
        odd = prediction_kernel > 0 and prediction_kernel % 2
        check_value(odd, 'head.prediction_kernel', prediction_kernel, 'an odd number, 3 or 1')
        shrinking = min(sigmas) > 0 and list(sigmas) == sorted(sigmas, reverse=True)
        known = 'positive numbers, coarse to fine, none larger than the one before'
        check_value(shrinking, 'head.sigmas', sigmas, known)
        check_choice('head.occluded_in_levels', occluded_in_levels, ('empty', 'mask', 'count'))
        self.sigmas = tuple(sigmas)
        drawn = getattr(self.decoder, 'sigma', self.sigmas[0])
        check_value(drawn == self.sigmas[0], 'codec.sigma', drawn, f'head.sigmas[0]={sigmas[0]}')
        self.occluded_in_levels = occluded_in_levels
        self.occluded_in_fine = occluded_in_fine
        self.loss_module = MODELS.build(
            loss or dict(type='KeypointMSELoss', use_target_weight=True, loss_weight=0.5)
        )
        self.fine_loss_module = MODELS.build(fine_loss or dict(type='HardKeypointMSELoss'))

        levels = len(self.sigmas)
        self.predictors = nn.ModuleList(
            nn.Sequential(
                *conv_bn(channels, channels),
                nn.ReLU(inplace=True),
                nn.Conv2d(
                    channels,
                    num_keypoints,
                    prediction_kernel,
                    padding=prediction_kernel // 2,
                    bias=False,
                ),
            )
            for _ in range(levels)
        )
        self.predictor_norms = nn.ModuleList(nn.BatchNorm2d(num_keypoints) for _ in range(levels))
        # the coarsest of four levels: three bottlenecks, three times up
        self.branches = nn.ModuleList(
            nn.Sequential(
                *(bottleneck(channels, channels) for _ in range(n)),
                *(m for _ in range(n) for m in (*deconv_bn(channels), nn.ReLU(inplace=True))),
            )
            for n in reversed(range(levels))
        )
        self.fine = nn.Sequential(
            bottleneck(levels * channels, channels),
            nn.Conv2d(channels, num_keypoints, 3, padding=1, bias=False),
            nn.BatchNorm2d(num_keypoints),
        )
        for norm in (*self.predictor_norms, self.fine[-1]):
            nn.init.constant_(norm.weight, 0.1)  # the scale of heatmaps (ours)

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return all heatmaps.

        Args:
            feats: the levels, coarse to fine, ``[B, channels, h, w]``, each
                about twice the size of the one before.

        Returns:
            The levels' heatmaps, coarse to fine, and the fine network's, all
            ``[B, K, H, W]`` of the finest level's size.
        """
        fine = self._fine(feats)
        levels = [
            norm(resize(predict(f), fine.shape[-2:]))
            for f, predict, norm in zip(feats, self.predictors, self.predictor_norms)
        ]
        return (*levels, fine)

    def predict_heatmaps(self, feats: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return the fine network's ``heatmaps`` ``[B, K, H, W]``; the levels' are not computed."""
        return dict(heatmaps=self._fine(feats))

    def named_heatmaps(self, feats: Sequence[Tensor]) -> dict[str, tuple[Tensor, ...]]:
        """Return all heatmaps: those of the ``'levels'``, and the ``'fine network'``'s."""
        *levels, fine = self.forward(feats)
        return {'levels': tuple(levels), 'fine network': (fine,)}

    def _fine(self, feats: Sequence[Tensor]) -> Tensor:
        if len(feats) != len(self.sigmas):
            known = f'{len(feats)}, one for each level of the neck'
            raise InputError(f'head.sigmas: number={len(self.sigmas)}: expected {known}')
        size = feats[-1].shape[-2:]
        return self.fine(
            torch.cat([cut(branch(f), size) for f, branch in zip(feats, self.branches)], 1)
        )

    def loss(
        self,
        feats: Sequence[Tensor],
        batch_data_samples: list[PoseDataSample],
        train_cfg: dict | None = None,
    ) -> dict:
        """Compute the loss of every level and of the fine network.

        Args:
            feats: as for :meth:`forward`.
            batch_data_samples: the batch, with ``gt_fields.heatmaps``
                ``[K, H, W]`` of the coarsest level's sigma, ``gt_instance_labels.keypoint_weights``
                ``[1, K]`` and, unless occluded keypoints count everywhere,
                ``keypoints_visible_weights`` ``[1, K]``.
            train_cfg: ``compute_acc`` (default True) adds ``acc_pose``.

        Returns:
            ``loss_c5`` … ``loss_c2``, ``loss_fine`` and ``acc_pose``.

        Raises:
            InputError: heatmaps of another size or number than the data's, or no
                ``keypoints_visible_weights``.
        """
        *levels, fine = self.forward(feats)
        drawn, weights = self.ground_truth(batch_data_samples, fine)
        visible = weights
        if self.occluded_in_levels != 'count' or not self.occluded_in_fine:
            visible = weights * self._visible(batch_data_samples)
        level_drawn, level_weights = drawn, weights
        if self.occluded_in_levels == 'empty':
            level_drawn = drawn * (visible > 0)[..., None, None]
            level_weights = torch.ones_like(weights)
        elif self.occluded_in_levels == 'mask':
            level_weights = visible
        losses = {
            f'loss_c{len(levels) + 1 - i}': self.loss_module(
                heatmaps, self._narrowed(level_drawn, sigma), level_weights
            )
            for i, (heatmaps, sigma) in enumerate(zip(levels, self.sigmas))
        }
        target = self._narrowed(drawn, self.sigmas[-1])
        losses['loss_fine'] = self.fine_loss_module(
            fine, target, weights if self.occluded_in_fine else visible
        )
        if (train_cfg or {}).get('compute_acc', True):
            losses['acc_pose'] = heatmap_accuracy(fine.detach(), target, weights)
        return losses

    def _narrowed(self, drawn: Tensor, sigma: float) -> Tensor:
        """Gaussians of ``sigma`` from those of ``sigmas[0]``: exp(-d^2 / 2 s^2) to a power."""
        return drawn if sigma == self.sigmas[0] else drawn.pow((self.sigmas[0] / sigma) ** 2)

    @staticmethod
    def _visible(batch_data_samples: list[PoseDataSample]) -> Tensor:
        labels = [d.gt_instance_labels for d in batch_data_samples]
        if not all('keypoints_visible_weights' in entry for entry in labels):
            raise InputError(_NO_VISIBILITY)
        return torch.cat([entry.keypoints_visible_weights for entry in labels])
