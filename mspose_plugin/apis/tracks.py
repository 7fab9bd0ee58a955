"""Tracks of people in a file: COCO's format with videos and a ``track_id`` for each person.

It is the format of PoseTrack18 and of COCO's tools for videos: ``videos``, ``images`` (the frames,
with ``frame_id`` and ``time``), ``annotations`` (the persons) and ``categories`` (the skeleton). As
in COCO's results, a keypoint is x, y, score. pycocotools reads it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mspose_plugin.apis.pose_result import PoseResult
from mspose_plugin.datasets.annotations import INTEGER, Field, numeric, read_columns
from mspose_plugin.utils.errors import InputError
from mspose_plugin.utils.files import read_json, write_json


class TrackFile:
    """Collects the results of one video and writes them.

    Args:
        name: the video's.
        rate: its frames per second.

    Examples:
        >>> tracks = TrackFile('video.mp4', 25)  # doctest: +SKIP
        >>> for result in predictor.track('video.mp4'):  # doctest: +SKIP
        ...     tracks.add(result)
        >>> tracks.write('video.json')  # doctest: +SKIP
    """

    def __init__(self, name: str, rate: float) -> None:
        self.name, self.rate = os.path.basename(name), rate
        self._frames: list[dict[str, Any]] = []
        self._persons: list[dict[str, Any]] = []
        self._size: dict[str, int] = {}
        self._category: dict[str, Any] = {}

    def add(self, result: PoseResult) -> None:
        """Append a frame.

        Args:
            result: from :meth:`~mspose_plugin.apis.predictor.PosePredictor.track`.
        """
        number = result.index
        frame: dict[str, Any] = dict(id=number, video_id=1, frame_id=number, time=result.time)
        frame['file_name'] = f'{self.name}:{number}'
        if result.fault:
            frame['fault'] = result.fault
        else:
            self._size = dict(width=result.image.shape[1], height=result.image.shape[0])
        self._frames.append(frame)
        for person in result.to_coco(number):
            width, height = person['bbox'][2:]
            self._persons.append(
                dict(person, id=len(self._persons) + 1, area=width * height, iscrowd=0,
                     num_keypoints=len(result.names))
            )  # fmt: skip
        links = [[a + 1, b + 1] for a, b in result.dataset_meta.get('skeleton_links') or ()]
        self._category = dict(id=1, name='person', keypoints=list(result.names), skeleton=links)

    @property
    def frames(self) -> int:
        """Number of frames so far."""
        return len(self._frames)

    @property
    def people(self) -> int:
        """Number of ids so far."""
        return len({person['track_id'] for person in self._persons} - {0})

    def write(self, path: str, **info: Any) -> None:
        """Write the file, whole or not at all.

        Args:
            path: of the file.
            **info: what else to note in its ``info``.
        """
        content = dict(
            info=dict(frames_per_second=self.rate, people=self.people, **info),
            videos=[dict(id=1, name=self.name, **self._size)],
            images=[dict(frame, **self._size) for frame in self._frames],
            annotations=self._persons,
            categories=[self._category],
        )
        write_json(path, content)


@dataclass(frozen=True)
class Track:
    """One person in T frames of a video, which need not follow each other.

    Args:
        frames: numbers of the frames, ``[T]``, ascending.
        times: of the frames in seconds, ``[T]``.
        keypoints: ``[T, K, 2]`` in pixels.
        scores: ``[T, K]``.
        boxes: ``[T, 4]``, x1, y1, x2, y2 in pixels.
        names: of the K keypoints.
    """

    frames: np.ndarray
    times: np.ndarray
    keypoints: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    names: tuple[str, ...]


def read_tracks(path: str) -> dict[int, Track]:
    """Read a file of :class:`TrackFile`.

    Args:
        path: of the file.

    Returns:
        The persons by their ids, in ascending order; those without an id are left out.

    Raises:
        InputError: not such a file; the entry is named.
    """
    remedy = 'give a file that mspose predict --track wrote'
    content = read_json(path, 'track file', remedy)
    file = f'track file {path!r}'
    names = _names(content)
    if names is None:
        raise InputError(f'{file} has no videos, images, annotations and categories; {remedy}')
    frames = read_columns(
        file, 'frame', content['images'],
        dict(id=INTEGER, frame_id=INTEGER, time=numeric()), remedy,
    )  # fmt: skip
    known = set(map(str, frames['id']))
    when = {i: row for row, i in enumerate(frames['id'])}
    persons = read_columns(
        file, 'person', content['annotations'],
        dict(
            image_id=Field(
                lambda values: values if set(map(str, values)) <= known else None,
                'the id of a frame',
            ),
            track_id=INTEGER, bbox=numeric(4), keypoints=numeric(3 * len(names)),
        ), remedy,
    )  # fmt: skip
    ids, rows = np.asarray(persons['track_id']), np.array([when[i] for i in persons['image_id']])
    tracks = {}
    for number in np.unique(ids[ids > 0]).tolist():
        own = np.flatnonzero(ids == number)
        own = own[np.argsort(np.asarray(frames['frame_id'])[rows[own]], kind='stable')]
        points = persons['keypoints'][own].reshape(len(own), -1, 3)
        boxes = persons['bbox'][own]
        boxes[:, 2:] += boxes[:, :2]
        tracks[number] = Track(
            np.asarray(frames['frame_id'])[rows[own]], frames['time'][rows[own]],
            points[..., :2], points[..., 2], boxes, names,
        )  # fmt: skip
    return tracks


def _names(content: Any) -> tuple[str, ...] | None:
    """Return the keypoints' names, None where the file has another layout."""
    keys = {'videos', 'images', 'annotations', 'categories'}
    if not (isinstance(content, Mapping) and keys <= set(content)):
        return None
    category = next(iter(content['categories']), None) if content['categories'] else None
    names = category.get('keypoints') if isinstance(category, Mapping) else None
    fits = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return tuple(names) if fits and names else None
