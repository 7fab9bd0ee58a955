"""Samples as a data loader gives them, for the tests of all heads."""

import numpy as np
from mmpose.datasets.transforms import GenerateTarget, PackPoseInputs

FLIP = [1, 0, 2, 3]
CODEC = dict(type='MSRAHeatmap', input_size=(96, 64), heatmap_size=(24, 16), sigma=1)


def make_sample(keypoints=None, visible=None, codec=CODEC, flip_indices=None):
    """Return a sample as a data loader gives it: targets from the codec, packed by MMPose."""
    rng = np.random.default_rng(4)
    width, height = codec['input_size']
    flip_indices = FLIP if flip_indices is None else flip_indices
    number = len(flip_indices)
    if keypoints is None:
        keypoints = rng.uniform(0, 1, (number, 2)) * (width - 1, height - 1)
    visible = np.ones(number) if visible is None else np.asarray(visible)
    results = dict(
        img=np.zeros((height, width, 3), np.uint8),
        flip_indices=flip_indices,
        transformed_keypoints=np.asarray(keypoints, np.float32)[None],
        keypoints=np.asarray(keypoints, np.float32)[None],
        keypoints_visible=np.asarray(visible, np.float32)[None],
        bbox=np.array([[0, 0, width, height]], np.float32),
        bbox_score=np.ones(1, np.float32),
        input_center=np.array([width / 2, height / 2]),
        input_scale=np.array([width, height]),
        input_size=codec['input_size'],
        dataset_keypoint_weights=np.ones(number),
    )
    results = GenerateTarget(encoder=codec).transform(results)
    return PackPoseInputs(
        meta_keys=('flip_indices', 'input_size', 'input_center', 'input_scale')
    ).transform(results)['data_samples']
