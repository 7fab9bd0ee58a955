"""What comes before the network: images are read, people looked for and cut out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
import torch
from mmpose.structures import PoseDataSample

from mspose_plugin.apis.detectors import Detector, torchvision_detector
from mspose_plugin.apis.inferencer import TopdownInferencer
from mspose_plugin.apis.inputs import boxes_of, sources
from mspose_plugin.apis.pose_result import PoseResult, empty_result
from mspose_plugin.datasets.transforms.loading import LoadImageChecked, to_bgr
from mspose_plugin.utils.checks import check, numbers
from mspose_plugin.utils.errors import InputError

Choice = Callable[[int, Any], Any]
"""Number of a frame and its boxes (None: ask the detector) -> those to look into."""

_THREADS = 2


@dataclass
class PreparedImage:
    """An image on its way.

    Args:
        result: without persons; with a ``fault`` if the image cannot be read.
        items: what the test pipeline made of each person.
        found: the persons' predictions, as the network gives them.
    """

    result: PoseResult
    items: list[dict] = field(default_factory=list)
    found: list[PoseDataSample] = field(default_factory=list)


class Preparation:
    """Reads images and cuts people out of them.

    Args:
        inferencer: whose test pipeline cuts them, and whose detector looks for them if the next
            argument names one of MMDetection's.
        detector: as for :class:`~mspose_plugin.apis.predictor.PosePredictor`.
        box_score: least score of a detected person.
        device: where torchvision's detector runs.
    """

    def __init__(
        self,
        inferencer: TopdownInferencer,
        detector: str | Detector,
        box_score: float,
        device: torch.device,
    ) -> None:
        self.inferencer = inferencer
        self.detector: Detector | None
        if not isinstance(detector, str):
            self.detector = detector
        elif detector == 'whole_image':
            self.detector = None
        elif detector == 'torchvision':
            self.detector = torchvision_detector(device)
        else:
            self.detector = self._detect_with_mmdet
        self._box_score = box_score
        self._one_at_a_time = Lock()

    def images(
        self, inputs: Any, boxes: Iterable | str | None, ahead: int, choose: Choice | None = None
    ) -> Iterator[PreparedImage]:
        """Read and cut images in threads.

        Args:
            inputs: as for :meth:`~mspose_plugin.apis.predictor.PosePredictor.stream`.
            boxes: likewise.
            ahead: images that are begun before they are asked for.
            choose: called when the image before is asked for. Default: None, the boxes as given.
        """
        begun: deque[Future[PreparedImage]] = deque()
        with ThreadPoolExecutor(_THREADS, 'mspose-read') as pool:
            images = sources(inputs, self.inferencer)
            for index, ((path, source), own) in enumerate(boxes_of(images, boxes)):
                own = choose(index, own) if choose else own
                begun.append(pool.submit(self._prepare, index, path, source, own))
                if len(begun) > ahead:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()

    def _prepare(self, index: int, path: str | None, source: Any, boxes: Any) -> PreparedImage:
        meta = self.inferencer.model.dataset_meta
        try:
            image = LoadImageChecked().read(source) if isinstance(source, str) else source
            check(image is not None, f'{path}: frame {index} cannot be decoded')
            image = to_bgr(image)
        except InputError as e:
            nothing = np.zeros((1, 1, 3), np.uint8)
            return PreparedImage(empty_result(meta, nothing, path=path, index=index, fault=str(e)))
        found = self._boxes(image, boxes, path or f'image {index}')
        result = empty_result(meta, image, path=path, index=index)
        result.boxes, result.box_scores = found[:, :4], found[:, 4]
        items = [
            self.inferencer.pipeline(
                dict(img=image, img_path=path, bbox=b[None, :4], bbox_score=b[4:], **meta)
            )
            for b in found
        ]
        return PreparedImage(result, items)

    def _boxes(self, image: np.ndarray, given: Any, name: str) -> np.ndarray:
        if given is not None:
            expected = f'boxes of {name}: expected [N, 4] or [N, 5]: x1 < x2, y1 < y2 in pixels'
            boxes = numbers(given, (None, None)) if len(given) else np.zeros((0, 4))
            if boxes is None or boxes.shape[1] not in (4, 5):
                raise InputError(expected)
            check((boxes[:, 2:4] > boxes[:, :2]).all(), expected)
            scores = boxes[:, 4:] if boxes.shape[1] == 5 else np.ones((len(boxes), 1))
            return np.concatenate([boxes[:, :4], scores], axis=1).astype(np.float32)
        if self.detector is None:
            height, width = image.shape[:2]
            return np.array([[0, 0, width, height, 1]], np.float32)
        with self._one_at_a_time:  # a detector need not be made for threads
            found = np.asarray(self.detector(image), np.float32).reshape(-1, 5)
        return found[found[:, 4] >= self._box_score]

    def _detect_with_mmdet(self, image: np.ndarray) -> np.ndarray:
        found = self.inferencer.detector(image, return_datasamples=True)['predictions'][0]
        found = found.pred_instances.cpu().numpy()
        people = np.isin(found.labels, self.inferencer.det_cat_ids)
        return np.column_stack([found.bboxes, found.scores])[people]
