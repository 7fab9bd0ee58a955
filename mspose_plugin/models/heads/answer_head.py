"""What the heads of both methods share: the answer among their maps, its flip test, its targets."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.models.heads import BaseHead
from mmpose.models.utils.tta import flip_heatmaps
from mmpose.registry import KEYPOINT_CODECS
from mmpose.structures import PoseDataSample
from torch import Tensor

from mspose_plugin.utils.errors import InputError


def heatmap_accuracy(
    output: Tensor, target: Tensor, target_weights: Tensor, thr: float = 0.05
) -> Tensor:
    """Share of labelled keypoints whose heatmap maximum is near that of the target.

    The quantity that MMPose's heads log as ``acc_pose``, computed on the device without a
    synchronisation.

    Args:
        output: predicted heatmaps ``[B, K, H, W]``.
        target: ground-truth heatmaps ``[B, K, H, W]``.
        target_weights: ``[B, K]``, positive for labelled keypoints.
        thr: allowed distance as a fraction of the heatmap's width and height.
            Defaults to 0.05.

    Returns:
        A scalar in [0, 1], float32, the mean over the keypoints that are labelled at
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


class AnswerHead(BaseHead):
    """A head that is supervised on many heatmaps and predicts from one of them.

    Subclasses give :meth:`answers` and :meth:`loss`.

    Args:
        decoder: codec that turns heatmaps into keypoints. Defaults to None.
        init_cfg: as in mmengine. Defaults to None.
    """

    keypoints_set_in = 'model.head.num_keypoints'
    """Config entry that holds the number of keypoints, for messages."""

    def __init__(self, decoder: dict | None = None, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.decoder = KEYPOINT_CODECS.build(decoder) if decoder else None

    def answers(self, feats) -> dict[str, Tensor]:
        """Return the heatmaps ``[B, K, H, W]`` to predict from, ``heatmaps``, first."""
        raise NotImplementedError

    def predict(
        self, feats, batch_data_samples: list[PoseDataSample], test_cfg: dict | None = None
    ) -> list[InstanceData] | tuple:
        """Predict keypoints.

        Args:
            feats: what the head takes; with flip testing a list of two, for the image and its
                mirror image.
            batch_data_samples: the batch.
            test_cfg: ``flip_test``, ``flip_mode``, ``shift_heatmap`` and
                ``output_heatmaps`` as in MMPose's heads. Defaults to None.

        Returns:
            The keypoints in input pixels; with ``output_heatmaps``
            also a list of PixelData with the heatmaps ``[K, H, W]``.

        Raises:
            InputError: heatmaps of another number than the data's keypoints, or of another size
                than the codec's, which would decode them to wrong places.
        """
        test_cfg = test_cfg or {}
        flip_indices = batch_data_samples[0].metainfo.get('flip_indices')
        if test_cfg.get('flip_test', False):
            plain, mirrored = (self.answers(f) for f in feats)
            self._check_keypoints(plain['heatmaps'], flip_indices)
            maps = {
                name: 0.5
                * (
                    heatmaps
                    + flip_heatmaps(
                        mirrored[name],
                        flip_mode=test_cfg.get('flip_mode', 'heatmap'),
                        flip_indices=flip_indices,
                        shift_heatmap=test_cfg.get('shift_heatmap', False),
                    )
                )
                for name, heatmaps in plain.items()
            }
        else:
            maps = self.answers(feats)
            self._check_keypoints(maps['heatmaps'], flip_indices)
        maps = {name: heatmaps.detach().float() for name, heatmaps in maps.items()}
        width, height = maps['heatmaps'].shape[-1], maps['heatmaps'].shape[-2]
        if tuple(getattr(self.decoder, 'heatmap_size', (width, height))) != (width, height):
            raise InputError(
                f'codec.heatmap_size is {tuple(self.decoder.heatmap_size)}, the network predicts '
                f'{width}x{height}; set heatmap_size to that'
            )
        preds = self.decode(maps['heatmaps'])
        if test_cfg.get('output_heatmaps', False):
            return preds, [PixelData(**dict(zip(maps, sample))) for sample in zip(*maps.values())]
        return preds

    def ground_truth(
        self, batch_data_samples: list[PoseDataSample], finest: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Collect the targets of a batch and compare their size with the prediction's.

        Args:
            batch_data_samples: the batch, with ``gt_fields.heatmaps``
                ``[K, H, W]`` and ``gt_instance_labels.keypoint_weights`` ``[1, K]``.
            finest: predicted heatmaps ``[B, K, H, W]``.

        Returns:
            Heatmaps ``[B, K, H, W]`` and weights ``[B, K]``.

        Raises:
            InputError: heatmaps of another size or number than the data's.
        """
        target = torch.stack([d.gt_fields.heatmaps for d in batch_data_samples])
        weights = torch.cat([d.gt_instance_labels.keypoint_weights for d in batch_data_samples])
        self._check_keypoints(finest, range(target.shape[1]))
        if finest.shape != target.shape:
            raise InputError(
                f'codec.heatmap_size gives targets of {target.shape[-1]}x{target.shape[-2]}, the '
                f'network predicts {finest.shape[-1]}x{finest.shape[-2]}; set heatmap_size to '
                'that'
            )
        return target, weights

    def _check_keypoints(self, heatmaps: Tensor, flip_indices: Sequence[int] | None) -> None:
        if flip_indices is not None and heatmaps.shape[1] != len(flip_indices):
            raise InputError(
                f'the model predicts {heatmaps.shape[1]} keypoints, the data set has '
                f'{len(flip_indices)}; set {self.keypoints_set_in}={len(flip_indices)}'
            )
