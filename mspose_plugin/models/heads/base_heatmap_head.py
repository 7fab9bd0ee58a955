"""What the heads of both methods share: from heatmaps to keypoints, flip testing, targets."""

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


class BaseHeatmapHead(BaseHead):
    """A head that is supervised on many heatmaps and predicts keypoints from one of them.

    Subclasses implement ``forward(feats)``, which returns all heatmaps as tuples of tensors,
    :meth:`named_heatmaps`, which names these, :meth:`predict_heatmaps`, which returns those to
    predict from and computes no others that it can do without, and ``loss``.

    Args:
        decoder: codec that turns heatmaps into keypoints. Defaults to None.
        init_cfg: as in mmengine. Defaults to None.
    """

    keypoints_set_in = 'model.head.num_keypoints'
    """Config entry that holds the number of keypoints, for messages."""

    def __init__(self, decoder: dict | None = None, init_cfg: dict | list | None = None) -> None:
        super().__init__(init_cfg)
        self.decoder = KEYPOINT_CODECS.build(decoder) if decoder else None

    def predict_heatmaps(self, feats) -> dict[str, Tensor]:
        """Predict the heatmaps that keypoints are decoded from.

        Args:
            feats: as for ``forward``.

        Returns:
            ``heatmaps`` ``[B, K, H, W]``, which are decoded, and others that ``output_heatmaps``
            shows beside them.
        """
        raise NotImplementedError

    def named_heatmaps(self, feats) -> dict[str, tuple[Tensor, ...]]:
        """Return all heatmaps, for inspection.

        Args:
            feats: as for ``forward``.

        Returns:
            Name -> heatmaps of its levels, coarse -> fine, ``[B, K, h, w]``; in the order in which
            they are made: the last level of the last entry is decoded.
        """
        raise NotImplementedError

    def predict(
        self, feats, batch_data_samples: list[PoseDataSample], test_cfg: dict | None = None
    ) -> list[InstanceData] | tuple[list[InstanceData], list[PixelData]]:
        """Predict keypoints.

        Args:
            feats: as for ``forward``; with flip testing a list of two, for the image and its
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
        views = feats if test_cfg.get('flip_test', False) else [feats]
        maps, *mirrored = map(self.predict_heatmaps, views)
        size = getattr(self.decoder, 'heatmap_size', None)
        self._check_fit(maps['heatmaps'], flip_indices and len(flip_indices), size)
        if mirrored:
            options = dict(
                flip_indices=flip_indices,
                flip_mode=test_cfg.get('flip_mode', 'heatmap'),
                shift_heatmap=test_cfg.get('shift_heatmap', False),
            )
            maps = {
                name: 0.5 * (heatmaps + flip_heatmaps(mirrored[0][name], **options))
                for name, heatmaps in maps.items()
            }
        maps = {name: heatmaps.detach().float() for name, heatmaps in maps.items()}
        preds = self.decode(maps['heatmaps'])
        if test_cfg.get('output_heatmaps', False):
            return preds, [PixelData(**dict(zip(maps, sample))) for sample in zip(*maps.values())]
        return preds

    def ground_truth(
        self, batch_data_samples: list[PoseDataSample], heatmaps: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Collect the targets of a batch and compare their shape with the prediction's.

        Args:
            batch_data_samples: the batch, with ``gt_fields.heatmaps``
                ``[K, H, W]`` and ``gt_instance_labels.keypoint_weights`` ``[1, K]``.
            heatmaps: predicted heatmaps ``[B, K, H, W]``.

        Returns:
            Heatmaps ``[B, K, H, W]`` and weights ``[B, K]``.

        Raises:
            InputError: heatmaps of another size or number than the data's.
        """
        target = torch.stack([d.gt_fields.heatmaps for d in batch_data_samples])
        weights = torch.cat([d.gt_instance_labels.keypoint_weights for d in batch_data_samples])
        self._check_fit(heatmaps, target.shape[1], target.shape[:1:-1])
        return target, weights

    def _check_fit(
        self, heatmaps: Tensor, keypoints: int | None, size: Sequence[int] | None
    ) -> None:
        """Refuse heatmaps of another number or size (width, height) than expected, if any is."""
        number, found = heatmaps.shape[1], tuple(heatmaps.shape[:1:-1])
        if keypoints not in (None, number):
            known = f'{keypoints}, as in the data'
            raise InputError(f'{self.keypoints_set_in}={number}: expected {known}')
        if size is not None and tuple(size) != found:
            known = f'{found}, as the network predicts'
            raise InputError(f'codec.heatmap_size={tuple(size)}: expected {known}')
