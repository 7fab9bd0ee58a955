"""What a network sees in one image: persons with named keypoints, to look at or to hand on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from mmpose.structures.utils import revert_heatmap
from mmpose.visualization import PoseLocalVisualizer

from mspose_plugin.apis.id_drawing import id_colour, write_ids
from mspose_plugin.utils.checks import check, check_choice
from mspose_plugin.utils.errors import InputError
from mspose_plugin.utils.files import write_file, write_json


@dataclass(frozen=True, eq=False)
class Trials:
    """What conditional testing tried, person by person; the first of the T is the plain estimate.

    Args:
        keypoints: ``[N, T, K, 2]`` in pixels of the image, NaN for trials that were not made.
        scores: ``[N, T, K]``, likewise.
        counts: ``[N, T, K]``, bool: those that the result is the mean of.
        crops: ``[N, T, 4]``, x1, y1, x2, y2 in pixels of the image: what the network saw.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    counts: np.ndarray
    crops: np.ndarray


@dataclass
class PoseResult:
    """The persons found in one image.

    Args:
        keypoints: ``[N, K, 2]``, x and y in pixels of the image; N may be 0.
        scores: ``[N, K]``, the heatmaps' values at the keypoints.
        boxes: ``[N, 4]``, x1, y1, x2, y2 in pixels of the image: where the network looked.
        box_scores: ``[N]``, the detector's; 1 for boxes that were given.
        dataset_meta: MMPose's metainfo of the model's data set: names, skeleton, colours.
        image: ``[H, W, 3]``, uint8, BGR.
        path: of the image file, or the video's; None for an array.
        index: of the image among those given, or of the frame in its video.
        heatmaps: ``[N, K, h, w]`` where they were asked for, else None.
        crops: ``[N, 4]``, x1, y1, x2, y2 in pixels of the image: what the heatmaps show; None where
            there are no heatmaps.
        trials: of conditional testing with ``output_trials``; else, and without persons, None.
        fault: why the image could not be read, else None.
        ids: ``[N]``, the persons' numbers in a tracked video, from 1; 0 for one who has no number
            yet. None where nobody is tracked.
        time: of a tracked frame, in seconds from the first; else None.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    box_scores: np.ndarray
    dataset_meta: Mapping[str, Any] = field(repr=False)
    image: np.ndarray = field(repr=False)
    path: str | None = None
    index: int = 0
    heatmaps: np.ndarray | None = field(default=None, repr=False)
    crops: np.ndarray | None = field(default=None, repr=False)
    trials: Trials | None = field(default=None, repr=False)
    fault: str | None = None
    ids: np.ndarray | None = None
    time: float | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the K keypoints."""
        return keypoint_names(self.dataset_meta)

    def __len__(self) -> int:
        """Return the number of persons."""
        return len(self.keypoints)

    def __getitem__(self, person: int) -> dict[str, tuple[float, float, float]]:
        """Return a person's keypoints: name -> x, y, score."""
        values = np.column_stack([self.keypoints[person], self.scores[person]]).tolist()
        return {name: (x, y, score) for name, (x, y, score) in zip(self.names, values)}

    def plot(self, min_score: float = 0.3, boxes: bool = False, thickness: int = 2) -> np.ndarray:
        """Draw the skeletons with MMPose's visualizer; tracked persons in a colour of their own.

        Args:
            min_score: keypoints with a lower score are left out. Default: 0.3.
            boxes: draw the boxes too. Default: False.
            thickness: of the limbs, and radius of the joints, in pixels. Default: 2.

        Returns:
            A new image ``[H, W, 3]``, uint8, BGR.
        """
        visualizer = PoseLocalVisualizer(
            name='pose_result', line_width=thickness, radius=thickness + 1, backend='opencv'
        )
        visualizer.set_dataset_meta(dict(self.dataset_meta))
        picture = np.ascontiguousarray(self.image[..., ::-1])
        together = [np.arange(len(self))] if self.ids is None else np.arange(len(self))[:, None]
        for persons in together:
            found = InstanceData(
                keypoints=self.keypoints[persons],
                keypoint_scores=self.scores[persons],
                keypoints_visible=self.scores[persons],
                bboxes=self.boxes[persons],
                bbox_scores=self.box_scores[persons],
            )
            if self.ids is not None:
                colour = id_colour(int(self.ids[persons[0]]))
                visualizer.kpt_color = [colour] * len(self.names)
                visualizer.link_color = [colour] * len(visualizer.skeleton or ())
                visualizer.bbox_color = colour
            sample = PoseDataSample(pred_instances=found)
            visualizer.add_datasample(
                'result', picture, sample, draw_gt=False, draw_bbox=boxes, kpt_thr=min_score
            )
            picture = visualizer.get_image()
        picture = np.ascontiguousarray(picture[..., ::-1])
        if self.ids is not None:
            write_ids(picture, self.ids, self.keypoints, self.scores >= min_score)
        return picture

    def plot_heatmaps(self, keypoint: str | None = None, opacity: float = 0.6) -> np.ndarray:
        """Lay the heatmaps over the image, in the colours from blue (0) to red (1).

        Args:
            keypoint: name of a keypoint. Default: None, the maximum over all.
            opacity: of the colours, 0 to 1. Default: 0.6.

        Returns:
            A new image ``[H, W, 3]``, uint8, BGR.

        Raises:
            InputError: no heatmaps, or an unknown keypoint.
        """
        if self.heatmaps is None or self.crops is None:
            raise InputError("no heatmaps: predict with test_cfg=dict(output_heatmaps=True)")
        if keypoint is None:
            maps = self.heatmaps.max(axis=1)
        else:
            check_choice('keypoint', keypoint, self.names)
            maps = self.heatmaps[:, self.names.index(keypoint)]
        shape = self.image.shape[:2]
        total = np.zeros(shape, np.float32)
        for heatmap, crop in zip(maps, self.crops):
            center, scale = (crop[:2] + crop[2:]) / 2, crop[2:] - crop[:2]
            total = np.maximum(total, revert_heatmap(heatmap, center, scale, shape))
        grey = (total.clip(0, 1) * 255).astype(np.uint8)
        colours = cv2.applyColorMap(grey, cv2.COLORMAP_JET)
        return cv2.addWeighted(self.image, 1 - opacity, colours, opacity, 0)

    def save(self, path: str, **how: Any) -> None:
        """Write the picture of :meth:`plot`, whole or not at all.

        Args:
            path: ends in ``.png`` or ``.jpg``.
            **how: arguments of :meth:`plot`.

        Raises:
            InputError: another ending.
        """
        ending = '.' + path.rsplit('.', 1)[-1].lower()
        check_choice(f'{path}: ending', ending, ('.png', '.jpg', '.jpeg'))
        write_file(path, cv2.imencode(ending, self.plot(**how))[1].tobytes())

    def to_coco(self, image_id: int | str | None = None) -> list[dict[str, Any]]:
        """Return the persons in COCO's result format.

        Args:
            image_id: of the image. Default: the path, or the index where there is none.

        Returns:
            For each person ``image_id``, ``category_id`` 1, ``keypoints`` (x, y, score of each,
            0-based pixels), ``bbox`` (x, y, width, height) and ``score`` (the box's times the mean
            of the keypoints'); of tracked persons also ``track_id``.
        """
        if image_id is None:
            image_id = self.index if self.path is None else self.path
        values = np.concatenate([self.keypoints, self.scores[..., None]], axis=2).round(3)
        corners, sizes = self.boxes[:, :2], self.boxes[:, 2:] - self.boxes[:, :2]
        boxes = np.concatenate([corners, sizes], axis=1).round(3)
        totals = (self.box_scores * self.scores.mean(axis=1)).round(5)
        persons = [
            dict(image_id=image_id, category_id=1, keypoints=k.ravel().tolist(), bbox=b, score=s)
            for k, b, s in zip(values, boxes.tolist(), totals.tolist())
        ]
        if self.ids is not None:
            for person, number in zip(persons, self.ids.tolist()):
                person['track_id'] = number
        return persons

    def to_json(self, path: str | None = None, image_id: int | str | None = None) -> str:
        """Return :meth:`to_coco` as JSON, and write it where a path is given.

        Args:
            path: file to write, whole or not at all. Default: None, none.
            image_id: as for :meth:`to_coco`.
        """
        content = self.to_coco(image_id)
        if path is not None:
            write_json(path, content)
        return json.dumps(content)

    def to_supervision(self) -> Any:
        """Return ``supervision.KeyPoints``, for that library's annotators.

        Raises:
            InputError: the package ``supervision`` is not installed.
        """
        try:
            import supervision
        except ImportError:
            supervision = None
        check(
            supervision,
            'to_supervision needs the package supervision: pip install "supervision>=0.29"',
        )
        return supervision.KeyPoints(
            xy=self.keypoints.astype(np.float32),
            keypoint_confidence=self.scores.astype(np.float32),
            class_id=np.zeros(len(self), int),
            data={} if self.ids is None else dict(tracker_id=self.ids),
        )


def keypoint_names(dataset_meta: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the keypoints, in the order of the results.

    Args:
        dataset_meta: MMPose's metainfo of a data set.
    """
    names = dataset_meta['keypoint_id2name']
    return tuple(names[k] for k in range(len(names)))


def empty_result(dataset_meta: Mapping[str, Any], image: np.ndarray, **more: Any) -> PoseResult:
    """Return a result without persons.

    Args:
        dataset_meta: as for :class:`PoseResult`.
        image: likewise.
        **more: likewise.
    """

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.float32)

    k = len(dataset_meta['keypoint_id2name'])
    return PoseResult(
        zeros(0, k, 2), zeros(0, k), zeros(0, 4), zeros(0), dataset_meta, image, **more
    )
