"""Persons with their annotations, as a picture."""

from __future__ import annotations

import os

import cv2
import numpy as np
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mspose_plugin.apis.pose_result import PoseResult
from mspose_plugin.datasets.inspection import Annotations
from mspose_plugin.datasets.inspection_rules import Person
from mspose_plugin.datasets.metainfo import metainfo_of
from mspose_plugin.datasets.transforms.loading import LoadImageChecked, to_bgr
from mspose_plugin.utils import picture_grid as grid
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.errors import InputError

CELL, COLUMNS = 256, 6
MARGIN = 1.4
"""Side of the square that is shown, in longer sides of the box."""


def draw_persons(
    annotations: Annotations, folder: str, path: str, num: int = 24, seed: int = 0
) -> None:
    """Draw boxes, bones and joints of some persons; occluded joints have a white centre.

    Args:
        annotations: a file's content.
        folder: of the images.
        path: picture to write.
        num: number of persons. Default: 24.
        seed: which. Default: 0.

    Raises:
        InputError: nobody can be drawn, or the picture is too large.
    """
    grid.check_size(num, COLUMNS, CELL, CELL)
    drawable = [p for p in annotations.persons if p.image and len(p.labelled)]
    meta = parse_pose_metainfo(metainfo_of(annotations.category, 'picture'))
    loader, cells = LoadImageChecked(), []
    for i in np.random.default_rng(seed).permutation(len(drawable)):
        person = drawable[i]
        assert person.image
        try:
            image = loader.read(os.path.join(folder, str(person.image.get('file_name'))))
        except InputError:  # reported among the findings
            continue
        cells.append(_draw(person, to_bgr(image), meta))
        if len(cells) == num:
            break
    check(cells, f'--picture: no person has a labelled joint and an image in {folder}')
    grid.save(cells, COLUMNS, path)


def _draw(person: Person, image: np.ndarray, meta: dict) -> np.ndarray:
    """Return a cell, BGR."""
    keypoints, box = person.keypoints, person.box
    assert keypoints is not None
    ends = person.labelled if box is None else np.stack([box[:2], box[:2] + box[2:]])
    low, high = ends.min(axis=0), ends.max(axis=0)
    zoom = CELL / max(MARGIN * float((high - low).max()), 8.0)
    shift = CELL / 2 - zoom * (low + high) / 2
    matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
    cell = cv2.warpAffine(
        image, matrix, (CELL, CELL), flags=cv2.INTER_LINEAR, borderValue=(90, 90, 90)
    )
    xy, seen = keypoints[:, :2] * zoom + shift, keypoints[:, 2]
    drawn = PoseResult(
        keypoints=xy[None],
        scores=(seen > 0).astype(np.float32)[None],
        boxes=np.concatenate([low * zoom + shift, high * zoom + shift])[None],
        box_scores=np.ones(1),
        dataset_meta=meta,
        image=cell,
    ).plot(boxes=box is not None)
    for x, y in xy[seen == 1]:
        cv2.circle(drawn, (round(float(x)), round(float(y))), 1, (255, 255, 255), -1, cv2.LINE_AA)
    name = f'{person.ann.get("id")}'
    cv2.putText(drawn, name, (5, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(
        drawn, name, (5, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA
    )
    return drawn
