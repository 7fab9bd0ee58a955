"""Scenes as COCO person keypoints, with what a person detector would find."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mspose_plugin.synthetic.body import INDEX
from mspose_plugin.synthetic.layout import Layout, Records, save_json
from mspose_plugin.synthetic.scene import Person, Scene


class CocoLayout(Layout):
    """COCO person keypoints 2017, with a detector's result file for val.

    test-dev2017 is val again without its annotations: what COCO gives out of it.
    """

    keypoints = (
        'nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder',
        'right_shoulder', 'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist', 'left_hip',
        'right_hip', 'left_knee', 'right_knee', 'left_ankle', 'right_ankle',
    )  # fmt: skip
    skeleton = (
        (16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9),
        (8, 10), (9, 11), (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7),
    )  # fmt: skip
    least_area = 64  # pixels; who shows less is not annotated
    least_visible = 3  # keypoints; who shows fewer has a box but no keypoints
    _order = np.array([INDEX[name] for name in keypoints])

    def image_file(self, split: str, index: int) -> str:
        """Return `<split>2017/<image id>.jpg`."""
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
        people = [self._person(scene, person) for person in scene.people]
        people = [{**p, 'image_id': image_id} for p in people if p is not None]
        entry = {'license': 1, 'file_name': name, 'height': height, 'width': width, 'id': image_id}
        boxes = np.array([p['bbox'] for p in people]).reshape(-1, 4)
        found = detections(rng, boxes, (width, height)) if split == 'val' else []
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
        inside, visible = person.inside[self._order], person.visible[self._order]
        flags = np.where(visible.sum() >= self.least_visible, inside.astype(int) + visible, 0)
        points = np.where(flags[:, None] > 0, person.keypoints[self._order].round(2), 0.0)
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
        folder.mkdir()
        category = {
            'supercategory': 'person', 'id': 1, 'name': 'person',
            'keypoints': list(self.keypoints), 'skeleton': [list(s) for s in self.skeleton],
        }  # fmt: skip
        number = 0
        for split, images in records.items():
            annotations = []
            for person in (p for image in images for p in image['people']):
                number += 1
                annotations.append({**person, 'id': number})
            content = {
                'info': {
                    'description': 'Synthetic people in COCO format',
                    'version': '1.0',
                    'year': 2026,
                },
                'licenses': [{'id': 1, 'name': 'as the MSPose plugin', 'url': ''}],
                'categories': [category],
                'images': [image['image'] for image in images],
                'annotations': annotations,
            }
            save_json(folder / f'person_keypoints_{split}2017.json', content)
        del content['annotations']
        content['categories'] = [{k: category[k] for k in ('supercategory', 'id', 'name')}]
        save_json(folder / 'image_info_test-dev2017.json', content)
        shutil.copytree(root / 'val2017', root / 'test2017')
        found = root / 'person_detection_results'
        found.mkdir()
        boxes = [f for image in records['val'] for f in image['found']]
        for name in ('val2017_detections_AP_H_56', 'test-dev2017_detections_AP_H_609'):
            save_json(found / f'COCO_{name}_person.json', boxes)


def detections(
    rng: np.random.Generator, boxes: np.ndarray, size: tuple[int, int]
) -> list[dict[str, Any]]:
    """Imitate a person detector: jittered boxes, misses, low-score duplicates, false alarms.

    Args:
        rng: Random generator.
        boxes: True boxes [N, 4] as x, y, width, height.
        size: Image width and height.

    Returns:
        Detections with `bbox`, `category_id` and `score`, best first.
    """
    found = []

    def add(box: np.ndarray, jitter: float, score: float) -> None:
        corners = np.concatenate([box[:2], box[:2] + box[2:]])
        corners = corners + jitter * np.tile(box[2:], 2) * rng.standard_normal(4)
        corners = np.clip(corners, 0.0, np.tile(size, 2))
        extent = corners[2:] - corners[:2]
        if (extent > 2.0).all():
            values = np.concatenate([corners[:2], extent]).round(3).tolist()
            found.append({'bbox': values, 'category_id': 1, 'score': round(score, 5)})

    for box in boxes:
        u = rng.random(4)
        if u[0] < 0.96:
            add(box, 0.03, 1.0 - 0.35 * float(u[1]) ** 4)
        for _ in range(int(3 * u[2])):
            add(box, 0.12, 0.4 * float(rng.random()) ** 2 + 0.003)
    for _ in range(int(rng.poisson(1.2))):
        extent = np.array(size) * rng.uniform(0.1, 0.5, 2)
        corner = rng.uniform(0.0, 1.0, 2) * (size - extent)
        add(np.concatenate([corner, extent]), 0.0, 0.5 * float(rng.random()) ** 3 + 0.003)
    return sorted(found, key=lambda f: -f['score'])
