"""Occluded keypoints from a COCO annotation to the head."""

import numpy as np
import pytest
from mmpose.datasets.transforms import GenerateTarget, PackPoseInputs, RandomFlip

from mspose_plugin.datasets.transforms import IgnoreCroppedKeypoints, MarkOccluded
from mspose_plugin.utils.errors import InputError

CODEC = dict(type='MSRAHeatmap', input_size=(64, 48), heatmap_size=(16, 12), sigma=1)


def results():
    """Return what MMPose's CocoDataset gives for v = 2, 1, 0, 2."""
    raw = [10, 10, 2, 30, 20, 1, 0, 0, 0, 50, 40, 2]
    keypoints = np.array(raw, np.float32).reshape(1, 4, 3)
    return dict(
        raw_ann_info=dict(keypoints=raw),
        keypoints=keypoints[..., :2],
        keypoints_visible=np.minimum(1, keypoints[..., 2]),
        flip_indices=[1, 0, 2, 3],
        img=np.zeros((48, 64, 3), np.uint8),
        img_shape=(48, 64),
        input_size=(64, 48),
        bbox=np.array([[0, 0, 64, 48]], np.float32),
        bbox_score=np.ones(1),
    )


@pytest.mark.parametrize(
    'flip, direction, visible',
    [
        (0.0, 'horizontal', [1, 0, 0, 1]),
        (1.0, 'horizontal', [0, 1, 0, 1]),
        (1.0, 'diagonal', [1, 0, 0, 1]),
        (1.0, 'vertical', [0, 1, 0, 1]),
    ],
)
def test_from_the_annotation_to_the_head(flip, direction, visible):
    out = RandomFlip(prob=flip, direction=direction).transform(results())
    out = MarkOccluded().transform(GenerateTarget(encoder=CODEC).transform(out))
    labels = PackPoseInputs(meta_keys=()).transform(out)['data_samples'].gt_instance_labels
    assert labels.keypoint_weights.tolist() == [[1, 1, 0, 1]]
    assert labels.keypoints_visible_weights.tolist() == [visible]


def test_needs_the_annotation_and_its_place():
    with pytest.raises(InputError, match='put it after'):
        MarkOccluded().transform(results())
    without = GenerateTarget(encoder=CODEC).transform(results())
    without['raw_ann_info'] = None
    with pytest.raises(InputError, match='no COCO keypoints .* 4'):
        MarkOccluded().transform(without)


def test_cropped_keypoints_are_as_good_as_unlabelled():
    out = results()
    # inside, just outside on the right and on the left, the last pixel; the input is 64 x 48
    out['transformed_keypoints'] = np.array([[[10, 10], [64, 20], [-0.1, 5], [63.9, 47.9]]])
    out['keypoints_visible'] = seen = np.ones((1, 4), np.float32)
    out = IgnoreCroppedKeypoints().transform(out)
    assert out['keypoints_visible'].tolist() == [[1, 0, 0, 1]] and seen.all()
    out = MarkOccluded().transform(GenerateTarget(encoder=CODEC).transform(out))
    assert out['keypoint_weights'].tolist() == [[1, 0, 0, 1]]
    assert (out['heatmaps'].max((1, 2)) > 0).tolist() == [True, False, False, True]


def test_mmpose_alone_draws_what_was_cropped():
    out = results()
    out['transformed_keypoints'] = np.array([[[10, 10], [70, 20], [-4, 5], [20, 20]]])
    out['keypoints_visible'] = np.ones((1, 4), np.float32)
    assert GenerateTarget(encoder=CODEC).transform(out)['keypoint_weights'].all()
