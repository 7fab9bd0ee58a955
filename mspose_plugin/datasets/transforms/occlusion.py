"""COCO's occluded keypoints, told apart from the visible ones."""
from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from mspose_plugin.errors import InputError


@TRANSFORMS.register_module()
class MarkOccluded(BaseTransform):
    """Keep which keypoints are visible (COCO v = 2) beside which are labelled (v > 0).

    MMPose's datasets merge the two. The mark travels as the second column of
    ``keypoints_visible`` ``[1, K, 2]``, which MMPose's transforms flip with the first, and reaches
    the head as ``gt_instance_labels.keypoints_visible_weights`` ``[1, K]``, 1 where visible, 0
    where occluded or unlabelled. Put it before the flip.

    Raises:
        InputError: an annotation without COCO's ``keypoints``.
    """

    def transform(self, results: dict) -> dict:
        """Add the second column.

        Args:
            results (dict): of a COCO-style dataset: ``raw_ann_info.keypoints`` (3 K numbers) and
                ``keypoints_visible`` ``[1, K]``.

        Returns:
            dict: ``results``.
        """
        raw = (results.get('raw_ann_info') or {}).get('keypoints')
        labelled = results['keypoints_visible']
        if raw is None or len(raw) != 3 * labelled.shape[1]:
            raise InputError('MarkOccluded: the annotation has no COCO keypoints (x, y, v for '
                             f'each of {labelled.shape[1]}); use it with CocoDataset and '
                             'ground-truth boxes')
        if results.get('flip') is not None:
            raise InputError('MarkOccluded comes after RandomFlip; put it before the flip')
        visible = np.asarray(raw[2::3], dtype=labelled.dtype)[None] == 2
        results['keypoints_visible'] = np.stack(
            [labelled, visible.astype(labelled.dtype)], axis=-1)
        return results
