"""Multi-scale supervision of the stacked hourglass.

Ke, Chang, Qi, Lyu, "Multi-Scale Structure-Aware Network for Human Pose Estimation", ECCV 2018,
§3.1, Eq. 1: heatmaps of every level of every stack are compared with the ground truth at their
scale. The paper says that the ground truth is down-sampled; max-pooling, which keeps the peak at
1, is this project's choice among ``downsample``.
"""
from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmpose.models.heads import BaseHead
from mmpose.models.utils.tta import flip_heatmaps
from mmpose.registry import KEYPOINT_CODECS, MODELS
from torch import Tensor

from mspose_plugin.errors import InputError
from mspose_plugin.models.backbones.multiscale_hourglass import Pyramids

_DOWNSAMPLE = {
    'max': F.adaptive_max_pool2d,
    'average': F.adaptive_avg_pool2d,
    'bilinear': lambda x, size: F.interpolate(x, size, mode='bilinear', align_corners=False),
}


def heatmap_accuracy(output: Tensor, target: Tensor, target_weights: Tensor,
                     thr: float = 0.05) -> Tensor:
    """Share of labelled keypoints whose heatmap maximum is near that of the target.

    The quantity that MMPose's heads log as ``acc_pose``, computed on the device without a
    synchronisation.

    Args:
        output (Tensor): predicted heatmaps ``[B, K, H, W]``.
        target (Tensor): ground-truth heatmaps ``[B, K, H, W]``.
        target_weights (Tensor): ``[B, K]``, positive for labelled keypoints.
        thr (float): allowed distance as a fraction of the heatmap's width and height.
            Defaults to 0.05.

    Returns:
        Tensor: a scalar in [0, 1], float32, the mean over the keypoints that are labelled at
        all; 0 where none is.
    """
    width, height = output.shape[-1], output.shape[-2]
    pred, gt = output.flatten(2).argmax(-1), target.flatten(2).argmax(-1)
    dx = (pred % width - gt % width) / width
    dy = (pred // width - gt // width) / height
    labelled = (target_weights > 0) & (target.flatten(2).amax(-1) > 0)
    hits = ((dx.square() + dy.square()).sqrt() < thr) & labelled
    count = labelled.sum(0)
    return (hits.sum(0) / count.clamp(min=1)).sum() / (count > 0).sum().clamp(min=1)


@MODELS.register_module()
class MSSHead(BaseHead):
    """Loss, flip testing and decoding for the heatmaps of a multi-scale hourglass.

    The head has no parameters: the predictors belong to the backbone, since every stack reads
    the heatmaps of the one before. The network's answer is the finest map of the last stack.

    Args:
        loss (dict): config of a loss ``(output, target, target_weights) -> scalar``, applied at
            every level of every stack. Pixels are to be summed (Eq. 1): with a mean the coarse
            levels would outweigh the finest. Defaults to ``dict(type='StructureAwareLoss')``,
            which without ``alpha`` is the plain multi-scale loss.
        downsample (str): how the ground truth reaches the coarser levels: ``'max'``,
            ``'average'`` or ``'bilinear'``. Defaults to ``'max'``.
        decoder (dict, optional): codec that turns heatmaps into keypoints. Defaults to None.
        init_cfg (dict, optional): as in mmengine. Defaults to None.

    Raises:
        InputError: an unknown ``downsample``.
    """

    def __init__(self,
                 loss: dict | None = None,
                 downsample: str = 'max',
                 decoder: dict | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if downsample not in _DOWNSAMPLE:
            raise InputError(f'{type(self).__name__}.downsample={downsample!r}: expected one of '
                             f'{sorted(_DOWNSAMPLE)}')
        self.downsample = downsample
        self.loss_module = MODELS.build(loss or dict(type='StructureAwareLoss'))
        self.decoder = KEYPOINT_CODECS.build(decoder) if decoder else None

    def forward(self, feats: Pyramids) -> Pyramids:
        """Return all heatmaps, stack by stack; the answer is ``forward(feats)[-1][-1]``."""
        return feats

    def answers(self, feats: Pyramids) -> dict[str, Tensor]:
        """Return the heatmaps ``[B, K, H, W]`` to predict from, ``heatmaps``, first."""
        return dict(heatmaps=self.forward(feats)[-1][-1])

    def supervised(self, outputs: Pyramids) -> dict[str, Sequence[Sequence[Tensor]]]:
        """Return which stacks are supervised under which name in the log."""
        return dict(loss=outputs)

    def predict(self, feats, batch_data_samples, test_cfg: dict | None = None):
        """Predict keypoints.

        Args:
            feats (Pyramids | list[Pyramids]): output of the backbone; with flip testing a list
                of two, for the image and its mirror image.
            batch_data_samples (list[PoseDataSample]): the batch.
            test_cfg (dict, optional): ``flip_test``, ``flip_mode``, ``shift_heatmap`` and
                ``output_heatmaps`` as in MMPose's heads. Defaults to None.

        Returns:
            list[InstanceData] | tuple: the keypoints in input pixels; with ``output_heatmaps``
            also a list of PixelData with the heatmaps ``[K, H, W]``.
        """
        test_cfg = test_cfg or {}
        flip_indices = batch_data_samples[0].metainfo.get('flip_indices')
        if test_cfg.get('flip_test', False):
            plain, mirrored = (self.answers(f) for f in feats)
            self._check_keypoints(plain['heatmaps'], flip_indices)
            maps = {
                name: 0.5 * (heatmaps + flip_heatmaps(
                    mirrored[name],
                    flip_mode=test_cfg.get('flip_mode', 'heatmap'),
                    flip_indices=flip_indices,
                    shift_heatmap=test_cfg.get('shift_heatmap', False)))
                for name, heatmaps in plain.items()
            }
        else:
            maps = self.answers(feats)
            self._check_keypoints(maps['heatmaps'], flip_indices)
        maps = {name: heatmaps.detach().float() for name, heatmaps in maps.items()}
        preds = self.decode(maps['heatmaps'])
        if test_cfg.get('output_heatmaps', False):
            return preds, [PixelData(**dict(zip(maps, sample))) for sample in zip(*maps.values())]
        return preds

    def loss(self, feats: Pyramids, batch_data_samples, train_cfg: dict | None = None) -> dict:
        """Compute the loss of every level, summed over the stacks.

        Args:
            feats (Pyramids): output of the backbone.
            batch_data_samples (list[PoseDataSample]): the batch, with ``gt_fields.heatmaps``
                ``[K, H, W]`` at the finest level and ``gt_instance_labels.keypoint_weights``
                ``[1, K]``.
            train_cfg (dict, optional): ``compute_acc`` (default True) adds ``acc_pose``.

        Returns:
            dict[str, Tensor]: ``loss_8x8`` … ``loss_64x64`` (height x width of the heatmaps) and
            ``acc_pose``.

        Raises:
            InputError: heatmaps of another size or number than the data's.
        """
        outputs = self.forward(feats)
        target = torch.stack([d.gt_fields.heatmaps for d in batch_data_samples])
        weights = torch.cat(
            [d.gt_instance_labels.keypoint_weights for d in batch_data_samples])
        finest = outputs[-1][-1]
        self._check_keypoints(finest, range(target.shape[1]))
        if finest.shape != target.shape:
            raise InputError(
                f'codec.heatmap_size gives targets of {target.shape[-1]}x{target.shape[-2]}, the '
                f'network predicts {finest.shape[-1]}x{finest.shape[-2]}; set heatmap_size to '
                'that')
        # once for each level, whatever the number of stacks
        targets = {tuple(h.shape[-2:]): self._downsample(target, h.shape[-2:]) for h in outputs[-1]}
        losses = {}
        for name, stacks in self.supervised(outputs).items():
            for heatmaps in zip(*stacks):
                height, width = heatmaps[0].shape[-2:]
                losses[f'{name}_{height}x{width}'] = sum(
                    self.loss_module(h, targets[height, width], weights) for h in heatmaps)
        if (train_cfg or {}).get('compute_acc', True):
            losses['acc_pose'] = heatmap_accuracy(finest.detach(), target, weights)
        return losses

    def _downsample(self, target: Tensor, size: Sequence[int]) -> Tensor:
        if target.shape[-2:] == size:
            return target
        return _DOWNSAMPLE[self.downsample](target, tuple(size))

    @staticmethod
    def _check_keypoints(heatmaps: Tensor, flip_indices: Sequence[int] | None) -> None:
        if flip_indices is not None and heatmaps.shape[1] != len(flip_indices):
            raise InputError(
                f'the model predicts {heatmaps.shape[1]} keypoints, the data set has '
                f'{len(flip_indices)}; set model.backbone.num_keypoints={len(flip_indices)}')
