"""COCO's occluded keypoints, told apart from the visible ones, and those cropped away."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from mspose_plugin.utils.checks import check


@TRANSFORMS.register_module()
class MarkOccluded(BaseTransform):
    """Tell the head which labelled keypoints are visible (COCO v = 2) and which are not (v = 1).

    MMPose's datasets merge the two. Put it between ``GenerateTarget`` and ``PackPoseInputs``; the
    head then finds ``gt_instance_labels.keypoints_visible_weights`` ``[1, K]``: 1 where visible, 0
    where occluded or unlabelled, flipped with the image. A keypoint that the crop left out, or
    ``IgnoreCroppedKeypoints`` took, is known by its weight of 0.

    Raises:
        InputError: an annotation without COCO's ``keypoints``, or another place in the pipeline.
    """

    def transform(self, results: dict) -> dict:
        """Add ``keypoints_visible_weights``.

        Args:
            results: of a COCO-style dataset: ``raw_ann_info.keypoints`` (3 K numbers).

        Returns:
            ``results``.
        """
        later = 'label_mapping_table' in results
        check(later, 'MarkOccluded stands before GenerateTarget; put it after')
        number = results['keypoint_weights'].shape[1]
        raw: Any = (results.get('raw_ann_info') or {}).get('keypoints')
        needed = f'(x, y, v for each of {number}); use it with CocoDataset and ground-truth boxes'
        check(np.size(raw) == 3 * number, f'MarkOccluded: no COCO keypoints {needed}')
        visible = np.asarray(raw[2::3]) == 2
        # a diagonal flip is a rotation by 180 degrees, which swaps no sides
        if results.get('flip') and results['flip_direction'] != 'diagonal':
            visible = visible[results['flip_indices']]
        results['keypoints_visible_weights'] = visible[None].astype(np.float32)
        results['label_mapping_table'] = dict(
            results['label_mapping_table'], keypoints_visible_weights='keypoints_visible_weights'
        )
        return results


@TRANSFORMS.register_module()
class IgnoreCroppedKeypoints(BaseTransform):
    """Treat keypoints outside the network's input as unlabelled; goes before ``GenerateTarget``.

    Without it, MMPose's codecs also draw Gaussians whose centre lies up to 3 sigma outside, and
    their keypoints count. MLPE's release, like CPN's, drops them.
    """

    def transform(self, results: dict) -> dict:
        """Set ``keypoints_visible`` to 0 where a keypoint lies outside.

        Args:
            results: of ``TopdownAffine``: ``transformed_keypoints`` ``[1, K, 2]``,
                ``input_size`` ``(w, h)`` and ``keypoints_visible`` ``[1, K]``.

        Returns:
            ``results``.
        """
        places = results['transformed_keypoints']
        inside = ((places >= 0) & (places < results['input_size'])).all(-1)
        results['keypoints_visible'] = results['keypoints_visible'] * inside
        return results
