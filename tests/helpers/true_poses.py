"""A predictor that finds the true joints of drawn people, where it looks at one."""

from __future__ import annotations

import numpy as np
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from mspose_plugin.synthetic import KEYPOINTS

NAMES = {'upper_neck': 'neck'}  # of MPII -> of the drawn people


def joints(clip, names):
    """Return the clip's joints in another order, ``[T, P, K, 2]``."""
    return clip.keypoints[:, :, [KEYPOINTS.index(NAMES.get(name, name)) for name in names]]


def install(monkeypatch, predictor, clip, noise=0.0):
    """Let a predictor find the person nearest to the middle of the box, with some noise.

    Where a box shows less than half of a person, all scores are 0.1.

    Returns:
        The boxes it looked into, ``[index of the frame, x1, y1, x2, y2]``.
    """
    points, looked, rng = joints(clip, predictor.names), [], np.random.default_rng(0)

    def run(batch):
        for image, item in batch:
            t = image.result.index
            data = item['data_samples'].metainfo
            center, scale = np.ravel(data['input_center']), np.ravel(data['input_scale'])
            corners = np.r_[center - scale / 2, center + scale / 2]
            looked.append((t, *corners))
            person = np.linalg.norm(points[t].mean(1) - center, axis=1).argmin()
            found = points[t, person] + noise * rng.standard_normal(points.shape[2:])
            inside = ((found > corners[:2]) & (found < corners[2:])).all(axis=1)
            scores = np.where(inside, 0.9, 0.1) if inside.mean() > 0.5 else np.full(len(found), 0.1)
            image.found.append(
                PoseDataSample(
                    pred_instances=InstanceData(
                        keypoints=found[None].astype(np.float32),
                        keypoint_scores=scores[None].astype(np.float32),
                    )
                )
            )

    monkeypatch.setattr(predictor, '_run', run)
    return looked
