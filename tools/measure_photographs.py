"""Measure a model of MPII's joints on people in photographs, person by person.

MPII's annotations: the share of labelled joints, without pelvis and thorax, within half a head
(PCKh@0.5). A sample of MPII has no head boxes: their diagonal is taken as 1.25 times the distance
from neck to head top. COCO's: of the labelled joints that both sets have, the share whose keypoint
similarity is over 0.5, which is where COCO's evaluation begins to count. Boxes are the annotated
ones. The intervals hold 95 % of 10,000 draws of as many persons with replacement.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from mmpose.datasets.datasets import CocoDataset

from mspose_plugin import PosePredictor
from mspose_plugin.apis.pose_result import PoseResult
from mspose_plugin.cli import arguments
from mspose_plugin.cli.output import show_table, track
from mspose_plugin.cli.predicting import make_predictor
from mspose_plugin.cli.running import run
from mspose_plugin.datasets.mpii import ZeroBasedMpiiDataset
from mspose_plugin.evaluation.pck import MPII_SCORED
from mspose_plugin.utils import picture_grid as grid
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.files import write_json

HEAD_SIZE = 0.6 * 1.25  # in head lengths
CELL, COLUMNS, MARGIN = 320, 6, 1.3
"""Side of a person's picture in pixels, and in longer sides of the box."""
RED = (0, 0, 255)


def joint_name(name: str) -> str:
    """Return the name that MPII's and COCO's joints share, 'left_' and 'right_' in front."""
    return name.removeprefix('left_').removeprefix('right_')


def mpii_hits(person: dict, keypoints: np.ndarray) -> np.ndarray:
    """Tell which joints are within half a head of the annotated ones, bool ``[K]``."""
    truth = person['keypoints'][0]
    head = HEAD_SIZE * np.linalg.norm(truth[9] - truth[8])
    return np.linalg.norm(keypoints - truth, axis=1) < 0.5 * head


def coco_hits(person: dict, keypoints: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
    """Tell which joints have a keypoint similarity over 0.5, bool ``[K]``."""
    squares = ((keypoints - person['keypoints'][0]) ** 2).sum(axis=1)
    return np.exp(-squares / (8 * sigmas**2 * person['area'])) > 0.5


def people_of(kind: str, file: str) -> tuple[list[dict], list[str], np.ndarray]:
    """Read the annotated people; images lie beside the file.

    Args:
        kind: ``'mpii'`` or ``'coco'``.
        file: the annotation file.

    Returns:
        MMPose's entries, one per person; names of the keypoints; their sigmas.
    """
    types = dict(mpii=ZeroBasedMpiiDataset, coco=CocoDataset)
    folder = str(Path(file).resolve().parent)
    data = types[kind](
        ann_file=file, data_prefix=dict(img=folder), test_mode=True, data_mode='topdown'
    )
    names = data.metainfo['keypoint_id2name']
    people = [data.get_data_info(i) for i in range(len(data))]
    labelled = [p for p in people if (np.asarray(p['keypoints_visible']) > 0).any()]
    return labelled, [names[k] for k in range(len(names))], data.metainfo['sigmas']


def draw(result: PoseResult, missed: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Draw a person's predicted skeleton, and a red line from each missed joint to where it is.

    Args:
        result: of one person.
        missed: ``[M, 2]``, the predictions, pixels of the image.
        truth: ``[M, 2]``, the annotations.

    Returns:
        BGR, ``CELL`` pixels wide and high.
    """
    picture = result.plot(min_score=0.0)
    low, high = result.boxes[0].reshape(2, 2)
    zoom = CELL / (MARGIN * max(high - low))
    shift = CELL / 2 - zoom * (low + high) / 2
    cell = cv2.warpAffine(
        picture, np.column_stack([zoom * np.eye(2), shift]), (CELL, CELL), flags=cv2.INTER_AREA
    )
    for ends in zip(missed, truth):
        start, end = (tuple((point * zoom + shift).round().astype(int).tolist()) for point in ends)
        cv2.line(cell, start, end, RED, 1, cv2.LINE_AA)
        cv2.circle(cell, end, 4, RED, 1, cv2.LINE_AA)
    return cell


def measure(predictor: PosePredictor, kind: str, file: str) -> tuple[dict, list[np.ndarray]]:
    """Predict on the people of one file.

    Returns:
        Hits and labelled joints: in all, by joint and by person; and the interval of the share.
        A picture of each person.
    """
    people, names, sigmas = people_of(kind, file)
    where = {name: k for k, name in enumerate(predictor.names)}
    scored = MPII_SCORED if kind == 'mpii' else range(len(names))
    shared = [k for k in scored if names[k] in where]
    check(len(shared) > 7, f'{file}: the model has only {len(shared)} of its joints')
    rows, seen, cells = [], [], []
    for person in track(people, f'{kind} people', len(people)):
        result = predictor(person['img_path'], person['bbox'])
        found = np.zeros((len(names), 2))
        found[shared] = result.keypoints[0][[where[names[k]] for k in shared]]
        hits = mpii_hits(person, found) if kind == 'mpii' else coco_hits(person, found, sigmas)
        visible = np.asarray(person['keypoints_visible']).reshape(1, len(names), -1)[0, :, 0] > 0
        rows.append(hits[shared] & visible[shared])
        seen.append(visible[shared])
        missed = [k for k in shared if visible[k] and not hits[k]]
        cells.append(draw(result, found[missed], person['keypoints'][0][missed]))
    hits, labelled = np.array(rows), np.array(seen)
    draws = np.random.default_rng(0).integers(len(hits), size=(10_000, len(hits)))
    shares = hits.sum(1)[draws].sum(1) / labelled.sum(1)[draws].sum(1)
    kinds = [joint_name(names[k]) for k in shared]
    by_joint = {
        name: [int(a[:, [k == name for k in kinds]].sum()) for a in (hits, labelled)]
        for name in dict.fromkeys(kinds)
    }
    summary = dict(
        persons=len(hits),
        hits=int(hits.sum()),
        joints=int(labelled.sum()),
        percent=100 * float(hits.sum() / labelled.sum()),
        interval=[100 * float(x) for x in np.quantile(shares, (0.025, 0.975))],
        by_joint=by_joint,
        by_person=[[int(h.sum()), int(n.sum())] for h, n in zip(hits, labelled)],
    )
    return summary, cells


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    arguments.add_predictor(parser)
    parser.add_argument('--mpii', metavar='FILE', help='annotations in MPII\'s format')
    parser.add_argument('--coco', metavar='FILE', help='annotations in COCO\'s format')
    arguments.add_out(parser, ('.json',), 'the figures')
    parser.add_argument(
        '--picture',
        type=arguments.writable_file(*grid.ENDINGS),
        metavar='FILE',
        help='every person as predicted; red: from a missed joint to where it is',
    )


def main(args: argparse.Namespace) -> None:
    """Measure and write."""
    files = {kind: getattr(args, kind) for kind in ('mpii', 'coco') if getattr(args, kind)}
    check(files, 'nothing to measure; give --mpii or --coco')
    predictor = make_predictor(args)
    found, cells = {}, []
    for kind, file in files.items():
        found[kind], pictures = measure(predictor, kind, file)
        cells += pictures
    rows = [
        [kind, str(m['persons']), f'{m["hits"]} of {m["joints"]}', f'{m["percent"]:.1f}',
         '{:.0f} to {:.0f}'.format(*m['interval'])]
        for kind, m in found.items()
    ]  # fmt: skip
    show_table(['data', 'persons', 'joints', 'percent', '95 %'], rows, words=1)
    if args.out:
        write_json(args.out, dict(model=args.model, **found), indent=2)
    if args.picture:
        grid.save(cells, COLUMNS, args.picture)


if __name__ == '__main__':
    run(sys.modules[__name__])
