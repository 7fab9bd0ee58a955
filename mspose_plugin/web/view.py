"""What a visitor of the page looks at: a result, what led to it, and how both are drawn.

Plain functions and arrays; nothing here knows Gradio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from mspose_plugin.apis.heatmaps import PersonHeatmaps
from mspose_plugin.apis.pose_result import PoseResult
from mspose_plugin.apis.predictor import PosePredictor
from mspose_plugin.utils.checks import check
from mspose_plugin.web.uploads import Limits, read_upload

SHOWN = 1280
"""Longer side of the picture on the page, at most, in pixels."""
WHOLE, DETECTED, DRAWN = 'Whole image', 'Detector', 'Draw boxes'
"""Where people are looked for."""
REACH = 0.03  # of the picture's longer side: how far from a joint a click selects it
_HIGHLIGHT = (0, 220, 255)


@dataclass(eq=False)
class View:
    """A result as one visitor sees it.

    Args:
        result: in pixels of the uploaded image, which is read again where it is needed.
        shown: the same in pixels of a picture of at most :data:`SHOWN`, which it has.
        scale: pixels shown for each of the image's.
        path: of the uploaded file.
        name: that the file had, without its ending.
        note: what should be known about the file; mostly empty.
        thresholds: tau_c ``[K]`` of conditional testing; None where it is off.
        heatmaps: by person, those that were looked at.
    """

    result: PoseResult
    shown: PoseResult
    scale: float
    path: str
    name: str
    note: str = ''
    thresholds: np.ndarray | None = None
    heatmaps: dict[int, PersonHeatmaps] = field(default_factory=dict)


def look(
    predictor: PosePredictor,
    path: str,
    where: str,
    corners: Sequence[tuple[float, float]],
    limits: Limits,
    name: str,
) -> View:
    """Predict on an uploaded image.

    Args:
        predictor: tests conditionally if it was made so.
        path: of the file.
        where: people are looked for: :data:`WHOLE`, :data:`DETECTED` or :data:`DRAWN`.
        corners: for :data:`DRAWN` two opposite ones of each box, in pixels of the image.
        limits: as for :func:`read_upload`.
        name: that the file had.

    Raises:
        InputError: an image that cannot be read.
    """
    image, note = read_upload(path, limits)
    height, width = image.shape[:2]
    boxes = None
    if where == WHOLE:
        boxes = np.array([[0, 0, width, height]])
    elif where == DRAWN:
        boxes = boxes_from(corners, width, height)
    result = predictor(image, boxes)
    assert isinstance(result, PoseResult)
    result.path = name
    conditional = getattr(predictor.model, 'conditional', None)
    tau = None if conditional is None else conditional.thresholds
    tau = None if tau is None or not tau.any() else np.broadcast_to(tau, len(predictor.names))
    scale = min(1.0, SHOWN / max(height, width))
    shown = resized(result, scale)
    result = replace(result, image=np.zeros((1, 1, 3), np.uint8))
    return View(result, shown, scale, path, Path(name).stem, note, tau)


def boxes_from(corners: Sequence[tuple[float, float]], width: int, height: int) -> np.ndarray:
    """Return boxes ``[N, 4]``, x1, y1, x2, y2, from pairs of opposite corners.

    Args:
        corners: x and y; one without a partner waits for it, and a box of less than 4 pixels on a
            side is a double click, no box.
        width: of the image.
        height: likewise.
    """
    pairs = np.reshape(corners[: len(corners) // 2 * 2], (-1, 2, 2)).astype(float)
    pairs = pairs.clip(0, (width, height))
    boxes = np.concatenate([pairs.min(axis=1), pairs.max(axis=1)], axis=1)
    return boxes[(boxes[:, 2:] - boxes[:, :2] >= 4).all(axis=1)]


def resized(result: PoseResult, scale: float) -> PoseResult:
    """Return a result with the image, and all that is in its pixels, at another size.

    Args:
        result: any.
        scale: new pixels for each of the old.
    """
    if scale == 1:
        return result
    image = cv2.resize(result.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    trials = result.trials
    if trials is not None:
        trials = replace(trials, keypoints=trials.keypoints * scale, crops=trials.crops * scale)
    return replace(
        result,
        image=image,
        keypoints=result.keypoints * scale,
        boxes=result.boxes * scale,
        crops=None if result.crops is None else result.crops * scale,
        trials=trials,
    )


def heatmaps_of(
    predictor: PosePredictor, view: View, person: int, limits: Limits
) -> PersonHeatmaps:
    """Return a person's heatmaps; they are computed when they are asked for first.

    Args:
        predictor: that ``view`` comes from.
        view: keeps them.
        person: number of the person, from 0.
        limits: as for :func:`read_upload`.

    Raises:
        InputError: the model predicts none, or the uploaded file is no longer kept.
    """
    if person not in view.heatmaps:
        box = view.result.boxes[person]
        view.heatmaps[person] = predictor.all_heatmaps(_again(view, limits), box)
    return view.heatmaps[person]


def draw(
    result: PoseResult,
    min_score: float,
    person: int = 0,
    keypoint: str | None = None,
    corner: tuple[float, float] | None = None,
) -> np.ndarray:
    """Draw skeletons, boxes where there are several people, and what is selected.

    Args:
        result: what is drawn.
        min_score: joints with a lower score are left out.
        person: the selected one.
        keypoint: name of the selected joint, which is ringed. Default: None, none.
        corner: of a box that waits for its second one. Default: None, none.

    Returns:
        ``[H, W, 3]``, uint8, RGB.
    """
    side = max(result.image.shape[:2])
    line = max(1, round(side / 300))
    picture = result.plot(min_score=min_score, thickness=line)
    whole = len(result) == 1 and (result.boxes[0] == [0, 0, *picture.shape[1::-1]]).all()
    for i, (x1, y1, x2, y2) in enumerate(result.boxes.astype(int).tolist()):
        if whole:
            break
        colour = _HIGHLIGHT if i == person else (255, 255, 255)
        cv2.rectangle(picture, (x1, y1), (x2, y2), colour, line)
        _label(picture, str(i + 1), (x1, y1), colour)
    if corner is not None:
        x, y = map(round, corner)
        cv2.drawMarker(picture, (x, y), _HIGHLIGHT, cv2.MARKER_CROSS, 12 * line, line)
    if keypoint is not None and person < len(result):
        x, y = result.keypoints[person, result.names.index(keypoint)].round().astype(int).tolist()
        cv2.circle(picture, (x, y), 6 * line, (0, 0, 0), 2 * line + 2, cv2.LINE_AA)
        cv2.circle(picture, (x, y), 6 * line, _HIGHLIGHT, 2 * line, cv2.LINE_AA)
    return np.ascontiguousarray(picture[..., ::-1])


def _label(picture: np.ndarray, text: str, at: tuple[int, int], colour: Sequence[int]) -> None:
    """Write black text on a patch of a colour, its upper left corner within the picture."""
    size = max(picture.shape[:2]) / 1000 + 0.2
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    x, y = (max(0, value) for value in at)
    cv2.rectangle(picture, (x, y), (x + width + 6, y + height + 6), colour, -1)
    place = x + 3, y + height + 3
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), 1, cv2.LINE_AA)


def summary(view: View, min_score: float) -> str:
    """Say in a sentence or two what was found.

    Args:
        view: what is looked at.
        min_score: joints with a lower score do not count.
    """
    people, number = view.result.scores.shape
    sure = int((view.result.scores >= min_score).sum())
    parts = [view.note] * bool(view.note)
    if people:
        found = f'{people} {"person" if people == 1 else "people"}'
        joints = f'{sure} of {people * number} joints'
        parts += [f'{found}, {joints} with a score of {min_score:g} or more.']
    if view.thresholds is not None and view.result.trials is not None:
        more = int(np.isfinite(view.result.trials.scores[:, 1:]).any(axis=2).sum())
        parts += [f'Conditional testing made {more} more estimates.']
    return ' '.join(parts)


def joint_at(result: PoseResult, x: float, y: float, min_score: float) -> tuple[int, str] | None:
    """Return person and name of the joint that is meant by a click.

    Args:
        result: what was clicked on.
        x: in pixels of its picture.
        y: likewise.
        min_score: joints with a lower score are not drawn, so cannot be meant.

    Returns:
        None where no joint is near.
    """
    if not len(result):
        return None
    apart = np.linalg.norm(result.keypoints - (x, y), axis=2)
    apart[result.scores < min_score] = np.inf
    person, k = np.unravel_index(apart.argmin(), apart.shape)
    near = apart[person, k] <= REACH * max(result.image.shape[:2])
    return (int(person), result.names[k]) if near else None


def write_json(view: View, folder: Path) -> Path:
    """Write the persons in COCO's result format, in pixels of the uploaded image.

    Args:
        view: what is written.
        folder: where to.

    Returns:
        Path of the file.
    """
    path = folder / f'{view.name}_keypoints.json'
    view.result.to_json(str(path))
    return path


def write_picture(view: View, folder: Path, min_score: float, limits: Limits) -> Path:
    """Write the drawn picture at the size of the uploaded image, as a JPEG file.

    Args:
        view: what is drawn.
        folder: where to.
        min_score: as for :func:`draw`.
        limits: as for :func:`read_upload`.

    Returns:
        Path of the file.
    """
    path = folder / f'{view.name}_pose.jpg'
    full = replace(view.result, image=_again(view, limits))
    cv2.imwrite(str(path), draw(full, min_score)[..., ::-1])
    return path


def _again(view: View, limits: Limits) -> np.ndarray:
    check(Path(view.path).exists(), 'this picture is no longer kept; upload it again')
    return read_upload(view.path, limits)[0]
