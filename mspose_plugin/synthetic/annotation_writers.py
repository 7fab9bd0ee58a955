"""Scenes written in the annotation formats of MPII, COCO and FLIC."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mspose_plugin.synthetic.body import INDEX, KEYPOINTS
from mspose_plugin.synthetic.detector import detect
from mspose_plugin.synthetic.scene import Person, Scene
from mspose_plugin.utils.files import write_json
from mspose_plugin.utils.matlab import cell_array, struct_array, write_mat

Records = list[dict[str, Any]]
_MAT_HEADER = 'MATLAB 5.0 MAT-file, synthetic people of the MSPose plugin'
_COMPACT: dict[str, Any] = dict(separators=(',', ':'))


class AnnotationWriter:
    """How a data set names, annotates and stores its images.

    ``annotate`` runs in the process that rendered the scene; ``finish`` runs once, on all records
    in order.
    """

    def image_file(self, split: str, index: int) -> str:
        """Return the path of an image relative to the data set's root."""
        raise NotImplementedError

    def annotate(
        self, scene: Scene, split: str, index: int, rng: np.random.Generator
    ) -> dict[str, Any]:
        """Return what the annotation files need to know of a scene."""
        raise NotImplementedError

    def finish(self, root: Path, records: dict[str, Records]) -> None:
        """Write the annotation files from the records of every split."""
        raise NotImplementedError


class MpiiWriter(AnnotationWriter):
    """MPII as MMPose's ``MpiiDataset`` reads it: one annotated person per image, 1-based pixels."""

    joints = (
        'right_ankle', 'right_knee', 'right_hip', 'left_hip', 'left_knee', 'left_ankle', 'pelvis',
        'thorax', 'neck', 'head_top', 'right_wrist', 'right_elbow', 'right_shoulder',
        'left_shoulder', 'left_elbow', 'left_wrist',
    )  # fmt: skip
    short = (
        'rank', 'rkne', 'rhip', 'lhip', 'lkne', 'lank', 'pelv', 'thor', 'neck', 'head',
        'rwri', 'relb', 'rsho', 'lsho', 'lelb', 'lwri',
    )  # fmt: skip
    _order = np.array([INDEX[name] for name in joints])

    def image_file(self, split: str, index: int) -> str:
        """Return ``images/<integer>.jpg``; ``MpiiDataset`` takes the stem as the image's id."""
        return f'images/{(split != "train") * 100_000_000 + index + 1:09d}.jpg'

    def annotate(
        self, scene: Scene, split: str, index: int, rng: np.random.Generator
    ) -> dict[str, Any]:
        """Return joints, head box, centre and scale of the main person.

        Beside MPII's entries ``hidden`` ``[16]``, which joints something covers, and ``crowding``,
        see :func:`crowding`.
        """
        person = scene.people[0]
        inside = person.inside[self._order]
        joints = person.keypoints[self._order] + 1.0
        # MPII's scale is six head lengths (the head box's diagonal is 1.25 of them) over 200 px
        reach = 6.0 * person.head_length
        shown = joints[inside] if inside.any() else joints
        middle = 0.5 * (shown.min(axis=0) + shown.max(axis=0))
        centre = middle + reach * (np.array([0.0, -0.03]) + 0.03 * rng.standard_normal(2))
        return {
            'joints_vis': inside.astype(int).tolist(),
            'joints': np.where(inside[:, None], joints.round(2), -1.0).tolist(),
            'image': Path(self.image_file(split, index)).name,
            'scale': round(reach / 200.0, 6),
            'center': centre.round(2).tolist(),
            'hidden': (inside & ~person.visible[self._order]).astype(int).tolist(),
            'crowding': round(crowding(person, scene.people), 3),
            'head_box': head_box(joints[9], joints[8], person.head_length).tolist(),
        }

    def finish(self, root: Path, records: dict[str, Records]) -> None:
        """Write MMPose's files of MPII and the part of MPII's release that a submission needs.

        The test set is that of validation without its joints.
        """
        folder = root / 'annotations'
        val = records['val']
        splits = {**records, 'trainval': [*records['train'], *val]}
        for split, people in splits.items():
            entries = [{k: v for k, v in p.items() if k != 'head_box'} for p in people]
            write_json(folder / f'mpii_{split}.json', entries, **_COMPACT)
        unlabelled = [{key: p[key] for key in ('image', 'center', 'scale')} for p in val]
        write_json(folder / 'mpii_test.json', unlabelled, **_COMPACT)
        self._save_release(folder / 'mpii_human_pose_v1_u12_1.mat', records)
        missing = 1 - np.array([p['joints_vis'] for p in val], np.uint8).reshape(-1, 16)
        joints = np.array([p['joints'] for p in val]).reshape(-1, 16, 2)
        joints[missing == 1] = 0.0
        boxes = np.array([p['head_box'] for p in val]).reshape(-1, 2, 2)
        write_mat(
            folder / 'mpii_gt_val.mat',
            {
                'pos_gt_src': joints.transpose(1, 2, 0),
                'headboxes_src': boxes.transpose(1, 2, 0),
                'jnt_missing': missing.T,
                'dataset_joints': cell_array(self.short).T,
            },
            _MAT_HEADER,
        )

    @staticmethod
    def _save_release(path: Path, records: dict[str, Records]) -> None:
        """Write images, person positions and splits in the structure of MPII's RELEASE."""
        people = [p for split in records.values() for p in split]
        annolist = struct_array([
            {
                'image': {'name': p['image']},
                'annorect': struct_array([{
                    'scale': p['scale'],
                    'objpos': dict(zip('xy', p['center'], strict=True)),
                }]),
            }
            for p in people
        ])  # fmt: skip
        release = {
            'annolist': annolist,
            'img_train': np.array([[s == 'train' for s in records for _ in records[s]]], np.uint8),
            'single_person': cell_array([np.array([[1.0]])] * len(people)),
        }
        write_mat(path, {'RELEASE': release}, _MAT_HEADER)


def crowding(person: Person, people: Sequence[Person]) -> float:
    """Return how many joints of others lie in the box around a person's, per joint of its own.

    That is a person's share of the crowd index of CrowdPose (Li et al., CVPR 2019).

    Args:
        person: one of the people.
        people: all of an image.
    """
    own = person.keypoints[person.inside]
    if not len(own):
        return 0.0
    others = [p.keypoints[p.inside] for p in people if p is not person]
    points = np.concatenate([np.empty((0, 2)), *others])
    covered = ((points >= own.min(axis=0)) & (points <= own.max(axis=0))).all(axis=1)
    return float(covered.sum() / len(own))


def head_box(top: np.ndarray, neck: np.ndarray, length: float) -> np.ndarray:
    """Return the upright box of a head as MPII annotates it.

    The head is a rectangle of ``length`` by 0.75 ``length`` turned like the line from neck to top;
    its bounding box is normalised to MPII's diagonal of 1.25 ``length``.

    Args:
        top: head top ``[2]``.
        neck: upper neck ``[2]``.
        length: head length, not foreshortened, in pixels.

    Returns:
        Corners [[x1, y1], [x2, y2]].
    """
    axis = np.abs(top - neck)
    norm = np.hypot(*axis)
    c = axis / norm if norm > 1e-6 else np.array([0.0, 1.0])
    size = c + 0.75 * c[::-1]
    size *= 1.25 * length / np.hypot(*size)
    half = 0.5 * np.maximum(size, axis + 0.02 * length)
    middle = 0.5 * (top + neck)
    return np.stack([middle - half, middle + half]).round(2)


class CocoWriter(AnnotationWriter):
    """COCO person keypoints 2017, with a detector's result file for val.

    test-dev2017 is val again without its annotations: what COCO gives out of it.
    """

    keypoints = KEYPOINTS[:17]
    skeleton = (
        (16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9),
        (8, 10), (9, 11), (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7),
    )  # fmt: skip
    least_area = 64  # pixels; people who show less are not annotated
    least_visible = 3  # keypoints; people who show fewer have a box but no keypoints

    def image_file(self, split: str, index: int) -> str:
        """Return ``<split>2017/<image id>.jpg``."""
        return f'{split}2017/{self._image_id(split, index):012d}.jpg'

    @staticmethod
    def _image_id(split: str, index: int) -> int:
        return (split != 'train') * 1_000_000 + index + 1

    def annotate(
        self, scene: Scene, split: str, index: int, rng: np.random.Generator
    ) -> dict[str, Any]:
        """Return the image's entry, its annotations and its detections."""
        image_id = self._image_id(split, index)
        height, width = scene.ids.shape
        name = Path(self.image_file(split, index)).name
        people = [
            {**annotation, 'image_id': image_id}
            for annotation in (self._person(scene, person) for person in scene.people)
            if annotation is not None
        ]
        entry = {'license': 1, 'file_name': name, 'height': height, 'width': width, 'id': image_id}
        boxes = np.array([p['bbox'] for p in people]).reshape(-1, 4)
        found = detect(rng, boxes, (width, height)) if split == 'val' else []
        return {
            'image': entry,
            'people': people,
            'found': [{**f, 'image_id': image_id} for f in found],
        }

    def _person(self, scene: Scene, person: Person) -> dict[str, Any] | None:
        mask = scene.silhouette(person).astype(np.uint8)
        area = cv2.countNonZero(mask)
        if area < self.least_area:
            return None
        x, y, w, h = cv2.boundingRect(mask)
        outlines, _ = cv2.findContours(
            mask[y : y + h, x : x + w], cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(x, y)
        )
        polygons = [c.ravel().astype(float).tolist() for c in outlines if len(c) > 2]
        inside, visible = person.inside[:17], person.visible[:17]
        flags = np.where(visible.sum() >= self.least_visible, inside.astype(int) + visible, 0)
        points = np.where(flags[:, None] > 0, person.keypoints[:17].round(2), 0.0)
        return {
            'segmentation': polygons or [[float(v) for v in (x, y, x + w, y, x + w, y + h)]],
            'num_keypoints': int((flags > 0).sum()),
            'area': float(area),
            'iscrowd': 0,
            'keypoints': [
                v
                for (px, py), f in zip(points.tolist(), flags.tolist(), strict=True)
                for v in (px, py, f)
            ],
            'bbox': [float(v) for v in (x, y, w, h)],
            'category_id': 1,
        }

    def finish(self, root: Path, records: dict[str, Records]) -> None:
        """Write the annotation files and the detections of val and test-dev."""
        folder = root / 'annotations'
        category = {
            'supercategory': 'person', 'id': 1, 'name': 'person',
            'keypoints': list(self.keypoints), 'skeleton': [list(s) for s in self.skeleton],
        }  # fmt: skip
        ids = count(1)
        for split, images in records.items():
            content = {
                'info': {
                    'description': 'Synthetic people in COCO format',
                    'version': '1.0',
                    'year': 2026,
                },
                'licenses': [{'id': 1, 'name': 'as the MSPose plugin', 'url': ''}],
                'categories': [category],
                'images': [image['image'] for image in images],
                'annotations': [
                    {**person, 'id': next(ids)} for image in images for person in image['people']
                ],
            }
            write_json(folder / f'person_keypoints_{split}2017.json', content, **_COMPACT)
        del content['annotations']
        content['categories'] = [{k: category[k] for k in ('supercategory', 'id', 'name')}]
        write_json(folder / 'image_info_test-dev2017.json', content, **_COMPACT)
        shutil.copytree(root / 'val2017', root / 'test2017')
        boxes = [f for image in records['val'] for f in image['found']]
        folder = root / 'person_detection_results'
        for name in ('val2017_detections_AP_H_56', 'test-dev2017_detections_AP_H_609'):
            write_json(folder / f'COCO_{name}_person.json', boxes, **_COMPACT)


class FlicWriter(AnnotationWriter):
    """FLIC's original examples.mat: person-centric left and right, 1-based pixels."""

    columns = {
        'left_shoulder': 0, 'left_elbow': 1, 'left_wrist': 2, 'right_shoulder': 3,
        'right_elbow': 4, 'right_wrist': 5, 'left_hip': 6, 'right_hip': 9, 'left_eye': 12,
        'right_eye': 13, 'nose': 16,
    }  # fmt: skip
    margin = 8.0  # pixels outside the image up to which a joint is still labelled
    frames_per_film = 100
    _order = np.array([INDEX[name] for name in columns])

    def _film(self, split: str, index: int) -> tuple[str, int]:
        film, frame = divmod(index, self.frames_per_film)
        return f'synthetic-{split}-{film:03d}', 10 * frame + 1

    def image_file(self, split: str, index: int) -> str:
        """Return ``images/<film>-<frame>.jpg``."""
        film, frame = self._film(split, index)
        return f'images/{film}-{frame:08d}.jpg'

    def annotate(
        self, scene: Scene, split: str, index: int, rng: np.random.Generator
    ) -> dict[str, Any]:
        """Return the fields of one element of ``examples``."""
        person = scene.people[0]
        height, width = scene.ids.shape
        points = person.keypoints[self._order]
        near = (points > -self.margin) & (points < np.array([width, height]) + self.margin)
        coords = np.full((2, 29), np.nan)
        labelled = np.where(near.all(axis=1)[:, None], points + 1.0, np.nan)
        coords[:, list(self.columns.values())] = labelled.T.round(2)
        trunk = person.keypoints[
            [INDEX[f'{s}_{j}'] for s in ('left', 'right') for j in ('shoulder', 'hip')]
        ]
        low, high = trunk.min(axis=0), trunk.max(axis=0)
        pad = 0.06 * person.stature
        box = np.concatenate([low - pad, high + pad]) + 0.2 * pad * rng.standard_normal(4) + 1.0
        film, frame = self._film(split, index)
        return {
            'poselet_hit_idx': np.sort(rng.integers(1, 200, (1, 6))).astype(np.uint16),
            'moviename': film,
            'coords': coords,
            'filepath': Path(self.image_file(split, index)).name,
            'imgdims': np.array([[height, width, 3]], np.uint16),
            'currframe': float(frame),
            'torsobox': box[None].round(2),
            'istrain': np.uint8(split == 'train'),
            'istest': np.uint8(split != 'train'),
        }

    def finish(self, root: Path, records: dict[str, Records]) -> None:
        """Write examples.mat, train before test."""
        rows = records['train'] + records['val']
        write_mat(root / 'examples.mat', {'examples': struct_array(rows)}, _MAT_HEADER)


WRITERS: dict[str, AnnotationWriter] = {
    'mpii': MpiiWriter(),
    'coco': CocoWriter(),
    'flic': FlicWriter(),
}
