"""Predict in one line: ``PosePredictor('hourglass8-mpii')('photo.jpg').plot()``.

It stands on MMPose's ``Pose2DInferencer``: model, weights, test pipeline and detector are built by
it. What is added: persons of several images in one batch, images read and cut by threads while the
network computes, boxes from elsewhere, and results that need no knowledge of MMPose.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from os import PathLike
from typing import Any

import numpy as np
import torch
from mmengine.logging import MMLogger

from mspose_plugin.apis.detectors import Detector
from mspose_plugin.apis.heatmaps import PersonHeatmaps, all_heatmaps
from mspose_plugin.apis.inferencer import TopdownInferencer
from mspose_plugin.apis.inputs import is_single
from mspose_plugin.apis.models import DEFAULT_MODEL, find_model
from mspose_plugin.apis.pose_result import PoseResult, Trials, keypoint_names
from mspose_plugin.apis.preparation import Choice, Preparation, PreparedImage
from mspose_plugin.apis.tracking import track
from mspose_plugin.export.network import ExportedNetwork
from mspose_plugin.models.pose_estimators import ConditionalTopdownPoseEstimator
from mspose_plugin.utils.checks import check, check_number, refused


class PosePredictor:
    """Finds people's keypoints in images and videos.

    Args:
        model: a config's path, a name that this package (``mspose models`` lists them) or MMPose
            knows, or a file of ``mspose export``. Default: ``'synthetic'``, whose weights come with
            the package and which has seen drawn people only.
        weights: a checkpoint's path or address. Default: None, those that belong to the name.
        device: such as ``'cuda:0'``. Default: None, a GPU if there is one.
        detector: where people are looked for: ``'whole_image'`` (the image is one person),
            ``'torchvision'`` (its Faster R-CNN, weights downloaded on first use), a config or alias
            of MMDetection, or a function (:data:`~mspose_plugin.apis.detectors.Detector`).
            Default: ``'whole_image'``.
        detector_weights: checkpoint of an MMDetection config. Default: None, the alias's own.
        box_score: least score of a detected person. Default: 0.3.
        batch_size: persons in one pass of the network. Default: 8.
        half: compute in half precision: float16 on a GPU, bfloat16 on a CPU. Default: False.
        compile: compile the network with ``torch.compile``; the first batches take a minute.
            Default: False.
        test_cfg: entries of the model's ``test_cfg``, such as ``dict(flip_test=False)``,
            ``dict(multi_scale=True)`` or ``dict(output_heatmaps=True)``. Default: None.
        trust_code: open an exported file of a format that holds code (TorchScript, pt2), which may
            run what its author wrote. Default: False.

    Raises:
        InputError: a model, weights or arguments that cannot be used.

    Examples:
        >>> predictor = PosePredictor('hourglass8-mpii')  # doctest: +SKIP
        >>> result = predictor('photo.jpg')  # doctest: +SKIP
        >>> result[0]['right_wrist']  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        weights: str | None = None,
        *,
        device: str | None = None,
        detector: str | Detector = 'whole_image',
        detector_weights: str | None = None,
        box_score: float = 0.3,
        batch_size: int = 8,
        half: bool = False,
        compile: bool = False,
        test_cfg: Mapping[str, Any] | None = None,
        trust_code: bool = False,
    ) -> None:
        check_number('batch_size', batch_size, 1)
        check_number('box_score', box_score, 0, 1)
        by_mmdet = isinstance(detector, str) and detector not in ('whole_image', 'torchvision')
        with refused(f'model {model}' + (f' with weights {weights}' if weights else '')):
            self.inferencer = TopdownInferencer(
                *find_model(model, weights, trust_code),
                test_cfg=dict(test_cfg or {}),
                device=device,
                det_model=detector if by_mmdet else 'whole_image',
                det_weights=detector_weights,
                det_cat_ids=0,
            )
        self.model = self.inferencer.model
        self.batch_size = batch_size
        self.device = self.model.data_preprocessor.device
        exported = isinstance(self.model.backbone, ExportedNetwork)
        fixed = 'a file is exported in its precision, and compiled'
        check(not (exported and (half or compile)), f'half, compile: not for {model}: {fixed}')
        self._preparation = Preparation(self.inferencer, detector, box_score, self.device)
        self._half = half
        if compile:
            self._compile()

    @property
    def detector(self) -> Detector | None:
        """What looks for people, None where the image is one person."""
        return self._preparation.detector

    @detector.setter
    def detector(self, detector: Detector | None) -> None:
        self._preparation.detector = detector

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the keypoints, in the order of the results."""
        return keypoint_names(self.model.dataset_meta)

    def _compile(self) -> None:
        """Compile backbone, neck and what the head's ``predict`` calls."""
        self.model.backbone.compile()
        if self.model.with_neck:
            self.model.neck.compile()
        head = self.model.head
        name = 'predict_heatmaps' if hasattr(head, 'predict_heatmaps') else 'forward'
        setattr(head, name, torch.compile(getattr(head, name)))

    def with_test_cfg(self, **test_cfg: Any) -> PosePredictor:
        """Return a predictor that shares the network and tests in other ways.

        Args:
            **test_cfg: entries to change. This predictor has to have been made with ``conditional``
                or ``multi_scale`` if these are among them; ``conditional=dict(thresholds=0)``, with
                which nothing is tried again, is enough.

        Raises:
            InputError: entries that are not valid.
        """
        other = copy(self)
        other.model = copy(self.model)  # its modules are the same
        other.model.test_cfg = {**self.model.test_cfg, **test_cfg}
        if isinstance(other.model, ConditionalTopdownPoseEstimator):
            other.model.read_test_cfg()
        return other

    def __call__(
        self, inputs: Any, boxes: Sequence | np.ndarray | str | None = None
    ) -> PoseResult | list[PoseResult]:
        """Predict.

        Args:
            inputs: as for :meth:`stream`.
            boxes: likewise; for a single image the boxes themselves.

        Returns:
            The result for a single image; for a folder, a pattern, a video or several images a list
            of results.

        Raises:
            InputError: nothing can be read; a single unreadable image among others is a result
                without persons, with its ``fault``.
        """
        single = is_single(inputs)
        if single and boxes is not None and not isinstance(boxes, str):
            boxes = [boxes]
        results = list(self.stream([inputs] if single else inputs, boxes))
        check(results or not isinstance(inputs, str | PathLike), f'input {inputs}: no images')
        if single or (results and all(r.fault for r in results)):
            check(not results[0].fault, f'{results[0].fault}')
        return results[0] if single else results

    def stream(self, inputs: Any, boxes: Iterable | str | None = None) -> Iterator[PoseResult]:
        """Predict one image after the other, without holding all of them.

        Args:
            inputs: image files, arrays (``[H, W]`` or ``[H, W, C]``, BGR), PIL images, or an
                iterable of these (an array ``[T, H, W, C]`` is one); a folder of images, a pattern
                such as ``'photos/*.jpg'``, an address, a video file, or ``'webcam:0'``.
            boxes: for each image ``[N, 4]`` or ``[N, 5]``: x1, y1, x2, y2 in pixels and perhaps a
                score; or a detector's file, see :func:`~mspose_plugin.apis.inputs.read_boxes`.
                Default: None, the detector's.

        Returns:
            An iterator: a result for each image or frame, in their order.
        """
        return self._stream(inputs, boxes)

    def track(
        self,
        inputs: Any,
        boxes: Iterable | str | None = None,
        *,
        tracker: str = 'ocsort',
        smooth: bool = True,
        detect_every: int = 1,
        rate: float | None = None,
    ) -> Iterator[PoseResult]:
        """Follow people through a video: results have ``ids`` and ``time``, and joints are smooth.

        Args:
            inputs: a video file, ``'webcam:0'``, a folder, pattern or iterable of frames.
            boxes: as for :meth:`stream`.
            tracker: ``'ocsort'`` (OC-SORT), ``'bytetrack'`` (ByteTrack), or, for a camera that
                moves, ``'botsort'`` (BoT-SORT). An id outlives a second without its person.
                Default: ``'ocsort'``.
            smooth: smooth the joints of each person, see
                :class:`~mspose_plugin.apis.smoothing.OneEuroFilter`. Default: True.
            detect_every: the detector (or ``boxes``) says where people are in every n-th frame, and
                whenever nobody is left; in between each is looked for around the last pose.
                Default: 1.
            rate: frames per second. Default: None, the video's own; 25 where there is none.

        Returns:
            The results, frame by frame.

        Raises:
            InputError: a single image, arguments that cannot be used, or the package ``trackers``
                is not installed.
        """
        return track(
            self,
            inputs,
            boxes,
            tracker=tracker,
            smooth=smooth,
            detect_every=detect_every,
            rate=rate,
        )

    def _stream(
        self,
        inputs: Any,
        boxes: Iterable | str | None,
        choose: Choice | None = None,
    ) -> Iterator[PoseResult]:
        """Predict, see :meth:`stream`.

        Args:
            inputs: as there.
            boxes: likewise.
            choose: called when the frame before is done; without it images are read ahead and
                persons of several share a batch.
        """
        size = 1 if choose else self.batch_size
        waiting: deque[PreparedImage] = deque()
        queue: deque[tuple[PreparedImage, dict]] = deque()

        def finished() -> Iterator[PoseResult]:
            while waiting and len(waiting[0].found) == len(waiting[0].items):
                yield self._result(waiting.popleft())

        for image in self._prepared(inputs, boxes, choose):
            if image.result.fault:
                # not in the thread: after some errors the lock of mmengine's loggers stays taken
                MMLogger.get_current_instance().warning(f'skipped an input: {image.result.fault}')
            waiting.append(image)
            queue.extend((image, item) for item in image.items)
            while len(queue) >= size:
                count = min(len(queue), self.batch_size)
                self._run([queue.popleft() for _ in range(count)])
            yield from finished()
        if queue:
            self._run(list(queue))
        yield from finished()

    @torch.no_grad()
    def all_heatmaps(
        self, image: Any, box: Sequence[float] | np.ndarray | None = None
    ) -> PersonHeatmaps:
        """Predict on one person and keep the heatmaps of every stack and level.

        Args:
            image: a file, an array (``[H, W]`` or ``[H, W, C]``, BGR) or a PIL image.
            box: x1, y1, x2, y2 in pixels. Default: None, the first that the detector finds.

        Raises:
            InputError: an image or a box that cannot be used, nobody found, or a model without
                heatmaps.
        """
        (prepared,) = self._prepared([image], None if box is None else [[box]])
        check(not prepared.result.fault, f'{prepared.result.fault}')
        check(prepared.items, 'all_heatmaps: nobody is found in this image; give a box')
        with self._precision():
            return all_heatmaps(self.model, self.inferencer.collate_fn(prepared.items[:1]))

    def inputs(self, inputs: Any, boxes: Iterable | str | None = None) -> Iterator[dict]:
        """Yield what the test pipeline makes of each person, before the network.

        Args:
            inputs: as for :meth:`stream`.
            boxes: likewise.

        Raises:
            InputError: an image that cannot be read.
        """
        for image in self._prepared(inputs, boxes):
            check(not image.result.fault, f'{image.result.fault}')
            yield from image.items

    def _prepared(
        self, inputs: Any, boxes: Iterable | str | None, choose: Choice | None = None
    ) -> Iterator[PreparedImage]:
        """Read and cut images, a few ahead of the network unless boxes wait for it."""
        return self._preparation.images(inputs, boxes, 0 if choose else 2 * self.batch_size, choose)

    @torch.no_grad()
    def _run(self, batch: list[tuple[PreparedImage, dict]]) -> None:
        with self._precision():
            samples = self.model.test_step(self.inferencer.collate_fn([item for _, item in batch]))
        for (image, _), sample in zip(batch, samples):
            image.found.append(sample)

    def _precision(self) -> AbstractContextManager:
        kind = self.device.type
        half = torch.autocast(kind, torch.float16 if kind == 'cuda' else torch.bfloat16)
        return half if self._half else nullcontext()

    @staticmethod
    def _result(image: PreparedImage) -> PoseResult:
        result = image.result
        if image.found:
            persons = [sample.pred_instances for sample in image.found]
            result.keypoints = np.concatenate([p.keypoints[..., :2] for p in persons])
            result.scores = np.concatenate([p.keypoint_scores for p in persons])
            if 'trial_counts' in persons[0]:
                result.trials = Trials(
                    *(
                        np.concatenate([p.get(f'trial_{name}') for p in persons])
                        for name in ('keypoints', 'scores', 'counts', 'crops')
                    )
                )
            fields = [sample.get('pred_fields') for sample in image.found]
            if fields[0] is not None and 'heatmaps' in fields[0]:
                result.heatmaps = np.stack([f.heatmaps.cpu().numpy() for f in fields])
                centers, scales = (
                    np.stack([np.ravel(sample.metainfo[key]) for sample in image.found])
                    for key in ('input_center', 'input_scale')
                )
                result.crops = np.concatenate([centers - scales / 2, centers + scales / 2], axis=1)
        return result
