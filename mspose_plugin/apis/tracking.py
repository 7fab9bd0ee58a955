"""People followed through a video: who is who, smooth joints, boxes from the last pose.

Boxes are put together to tracks by the package ``trackers`` (extra ``track``). Between two
detections a person is looked for around its last pose, as MediaPipe does (V. Bazarevsky et al.:
"BlazePose: On-device Real-time Body Pose tracking", CVPR workshops 2020, section 2).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

import numpy as np
from mmpose.evaluation.functional import oks_nms

from mspose_plugin.apis.inputs import is_camera, is_single, is_video
from mspose_plugin.apis.pose_result import PoseResult
from mspose_plugin.apis.smoothing import OneEuroFilter
from mspose_plugin.apis.video import frame_rate
from mspose_plugin.utils.checks import check, check_choice, check_number, check_positive

if TYPE_CHECKING:
    from mspose_plugin.apis.predictor import PosePredictor

_ALL = dict(high_conf_det_threshold=0.0, minimum_consecutive_frames=1)  # boxes are persons already
TRACKERS: dict[str, tuple[str, dict[str, Any]]] = {
    'ocsort': ('OCSORTTracker', _ALL),
    'bytetrack': ('ByteTrackTracker', dict(_ALL, track_activation_threshold=0.0)),
    'botsort': ('BoTSORTTracker', dict(_ALL, track_activation_threshold=0.0)),
}
"""Name -> class of the package ``trackers`` and its options; BoT-SORT also looks at the frames."""
_SURE = 0.3  # mean score of the keypoints of a person who is still there
_MARGIN = 1.25  # of the box around the keypoints: heads and feet are larger than their joints
_SAME = 0.9  # OKS of two poses that are of one person


def track(
    predictor: PosePredictor,
    inputs: Any,
    boxes: Iterable | str | None = None,
    *,
    tracker: str = 'ocsort',
    smooth: bool = True,
    detect_every: int = 1,
    rate: float | None = None,
) -> Iterator[PoseResult]:
    """Predict on a video and follow its people, see :meth:`PosePredictor.track`.

    Args:
        predictor: finds the keypoints.
        inputs: as for :meth:`PosePredictor.track`, as all others.
        boxes: likewise.
        tracker: likewise.
        smooth: likewise.
        detect_every: likewise.
        rate: likewise.

    Returns:
        The results, frame by frame.

    Raises:
        InputError: a single image, or arguments that cannot be used.
    """
    check_number('detect_every', detect_every, 1, whole=True)
    name = fspath(inputs) if isinstance(inputs, str | PathLike) else None
    needed = 'a video, a camera, or a folder, pattern or iterable of frames'
    check(not is_single(inputs), f'input {name or "image"}: tracking needs {needed}')
    if rate is None:
        rate = frame_rate(name)[0] if name and is_video(name) else 25.0
    check_positive('rate', rate)
    live = name is not None and is_camera(name)
    ids = _Ids(tracker, rate)
    follower = _Follower(detect_every) if live or detect_every > 1 else None
    results = predictor._stream(inputs, boxes, follower)
    return _tracked(results, ids, OneEuroFilter() if smooth else None, follower, rate, live)


def _tracked(
    results: Iterator[PoseResult],
    ids: _Ids,
    smooth: OneEuroFilter | None,
    follower: _Follower | None,
    rate: float,
    live: bool,
) -> Iterator[PoseResult]:
    start = None
    for result in results:
        now = time.monotonic()
        start = now if start is None else start
        result.time = now - start if live else result.index / rate
        around = pose_boxes(result)
        by_pose = follower is not None and follower.every > 1
        result.ids = ids(result, around if by_pose else result.boxes)
        if smooth is not None:
            sizes = (around[:, 2:] - around[:, :2]).max(axis=1, initial=1) / _MARGIN
            points = smooth(result.ids, result.keypoints, result.scores, sizes, result.time)
            result.keypoints = points.astype(result.keypoints.dtype)
        if follower is not None:
            follower.see(result, around)
        yield result


def pose_boxes(result: PoseResult) -> np.ndarray:
    """Return boxes around the keypoints that are sure, a little larger.

    Args:
        result: N persons.

    Returns:
        ``[N, 4]``, x1, y1, x2, y2 in pixels; that of the result for a pose without sure keypoints.
    """
    sure = (result.scores >= _SURE)[..., None]
    low = np.where(sure, result.keypoints, np.inf).min(axis=1, initial=np.inf)
    high = np.where(sure, result.keypoints, -np.inf).max(axis=1, initial=-np.inf)
    known = (high - low > 2).all(axis=1)
    low, high = low[known], high[known]
    more = (_MARGIN - 1) / 2 * (high - low)
    boxes = np.array(result.boxes, np.float32)
    boxes[known] = np.concatenate([low - more, high + more], axis=1)
    return boxes


class _Ids:
    """Gives the persons of one video their ids.

    A person has one from the second frame on in which it is seen; those of the first frame at once.
    """

    def __init__(self, name: str, rate: float) -> None:
        check_choice('tracker', name, TRACKERS)
        try:
            import supervision
            import trackers
        except ImportError:
            supervision = None
        check(supervision, 'tracking needs the package trackers: pip install "trackers>=2.6"')
        self._detections = supervision.Detections
        kind, options = TRACKERS[name]
        self._tracker = getattr(trackers, kind)(frame_rate=rate, **options)
        self._looks = name == 'botsort'
        self._started = False

    def __call__(self, result: PoseResult, boxes: np.ndarray) -> np.ndarray:
        """Return the persons' ids ``[N]``: from 1, 0 for one who has none yet."""
        ids = np.zeros(len(result), int)
        frame = result.image if self._looks and not result.fault else None
        # a track begins at a person's second sight; there is none before the first frame
        for _ in range(1 if self._started or not len(ids) else 2):
            detections = self._detections(
                xyxy=np.asarray(boxes, np.float32).reshape(-1, 4),
                confidence=result.box_scores,
                class_id=np.zeros(len(ids), int),
                data=dict(person=np.arange(len(ids))),
            )
            found = self._tracker.update(detections, frame)
            if len(found):
                ids[found.data['person']] = found.tracker_id + 1
        self._started |= len(ids) > 0
        return ids


class _Follower:
    """Says where to look in the next frame: where the detector does, or around the last poses."""

    def __init__(self, every: int) -> None:
        self.every = every
        self._boxes = np.zeros((0, 5), np.float32)

    def __call__(self, index: int, given: Any) -> Any:
        """Return the boxes for a frame, of which ``given`` are known (None: ask the detector)."""
        return self._boxes if len(self._boxes) and index % self.every else given

    def see(self, result: PoseResult, around: np.ndarray) -> None:
        """Remember who is where; between detections these are the result's boxes."""
        if result.fault or self.every == 1:
            return
        if result.index % self.every:
            result.boxes = around
        there = np.flatnonzero(result.scores.mean(axis=1) >= _SURE)
        poses = [
            dict(
                keypoints=np.column_stack([result.keypoints[i], result.scores[i]]),
                score=result.scores[i].mean(),
                area=np.prod(around[i, 2:] - around[i, :2]),
            )
            for i in there
        ]
        sigmas = result.dataset_meta.get('sigmas')
        if sigmas is None:
            sigmas = np.full(len(result.names), 0.05)
        kept = there[np.sort(np.asarray(oks_nms(poses, _SAME, np.asarray(sigmas)), int))]
        self._boxes = np.column_stack([around[kept], result.box_scores[kept]])
