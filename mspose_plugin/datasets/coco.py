"""COCO's persons, checked while they are loaded.

MMPose's ``CocoDataset`` drops persons without a word and meets other bad entries with a traceback.
The class below replaces it under its registered name, so that every config with
``type='CocoDataset'`` has the checks. Good entries come out as MMPose's, in the same order.

What is left out, each with a count in the log: annotations without ``bbox`` or ``keypoints``, in
images that the file does not list or of another category; in top-down data also what MMPose leaves
out (crowds, no labelled keypoint, a box without size). What cannot be read ends the program with
the file, the annotation's id and a remedy.
"""

from __future__ import annotations

import logging
import os.path as osp
from collections import Counter

import numpy as np
from mmpose.datasets.datasets import CocoDataset
from mmpose.registry import DATASETS
from mmpose.structures.bbox import bbox_xywh2xyxy

from mspose_plugin.datasets.reports import report_unlearnable, warn_dropped
from mspose_plugin.utils.checks import numbers
from mspose_plugin.utils.errors import InputError
from mspose_plugin.utils.files import read_json

CROWD, UNLABELLED = 'marked as a crowd', 'without a labelled keypoint'
EXPECTED = (CROWD, UNLABELLED)  # COCO itself is full of them
BOX_KEYS = 'image_id, category_id, bbox (4 numbers) and score'
BOX_HELP = "expected a person detector's boxes for the images of ann_file in COCO's result format"


@DATASETS.register_module(name='CocoDataset', force=True)
class CheckedCocoDataset(CocoDataset):
    """MMPose's ``CocoDataset`` with checks of the annotation file and of the detector's boxes.

    Args:
        *args: as MMPose's ``CocoDataset``.
        **kwargs: likewise.

    Raises:
        InputError: a file that cannot be read or has another format, nobody in it, nobody to learn
            from in training, or a detector's box in an image that ``ann_file`` does not list.
    """

    def _load_annotations(self) -> tuple[list[dict], list[dict]]:
        """Read persons and images; leave out, with a count, what is no person of an image."""
        content = self._read_content()
        images = {img['id']: img for img in content['images']}
        people_ids = {
            c['id'] for c in content['categories'] if c.get('name') == 'person' or 'keypoints' in c
        }
        anns, dropped, people = content['annotations'], Counter(), {img_id: [] for img_id in images}
        seen, length = set(), 3 * self.metainfo['num_keypoints']  # metainfo: a deep copy each time
        for number, ann in enumerate(anns):
            if people_ids and ann.get('category_id', next(iter(people_ids))) not in people_ids:
                dropped['of another category'] += 1
            elif not {'bbox', 'keypoints'} <= ann.keys():
                dropped['without bbox or keypoints'] += 1
            else:
                self._check(ann, number, seen, length)
                if ann['image_id'] in images:
                    people[ann['image_id']].append(ann)
                else:
                    dropped['in images that the file does not list'] += 1
        for reason, count in dropped.items():
            warn_dropped(self.ann_file, count, len(anns), reason)
        chosen = [img for img in images.values() if img['id'] % self.sample_interval == 0]
        return [
            self.parse_data_info(dict(raw_ann_info=ann, raw_img_info=img))
            for img in chosen
            for ann in people[img['id']]
        ], chosen

    def _read_content(self) -> dict[str, list[dict]]:
        """Read ``ann_file`` and check its parts; images get ``img_id`` and ``img_path``."""
        where = f'annotation file {self.ann_file!r}'
        content = read_json(self.ann_file, 'annotation file', 'check ann_file')
        parts = {
            key: (content.get(key) or [] if isinstance(content, dict) else [])
            for key in ('images', 'annotations', 'categories')
        }
        if (
            not parts['images']
            or not all(
                isinstance(part, list) and all(isinstance(entry, dict) for entry in part)
                for part in parts.values()
            )
            or not all('id' in entry for key in ('images', 'categories') for entry in parts[key])
        ):
            raise InputError(
                f"{where} has no 'images', each with an 'id', or no lists of "
                "'annotations' and 'categories'; expected COCO's format"
            )
        for img in parts['images']:
            size = numbers([img.get('width'), img.get('height')], (2,))
            if (
                not isinstance(img['id'], int)
                or not isinstance(img.get('file_name'), str)
                or size is None
                or size.min() <= 0
            ):
                raise InputError(
                    f'{where}: image {img["id"]!r} needs an integer id, a file_name, '
                    'width and height; correct or remove it'
                )
            img.update(
                img_id=img['id'], img_path=osp.join(self.data_prefix['img'], img['file_name'])
            )
        if len({img['id'] for img in parts['images']}) < len(parts['images']):
            raise InputError(f'{where} has several images of one id; correct or remove them')
        self._metainfo['CLASSES'] = parts['categories']
        return parts

    def _check(self, ann: dict, number: int, seen: set, length: int) -> None:
        """Raise :class:`InputError` for an annotation that cannot be read."""
        problem = None
        ids = [ann.get(key) for key in ('id', 'image_id', 'category_id')]
        if not all(isinstance(value, int) for value in ids):
            problem = 'needs integers as id, image_id and category_id'
        elif ann['id'] in seen:
            problem = 'has the id of another one'
        elif numbers(ann['bbox'], (4,)) is None:
            problem = 'has a bbox that is not 4 finite numbers'
        elif numbers(ann['keypoints'], (length,)) is None:
            problem = f'has keypoints that are not {length} finite numbers'
        elif (
            numbers([ann.get(key, 0) for key in ('num_keypoints', 'area', 'iscrowd')], (3,)) is None
        ):
            problem = 'has num_keypoints, area or iscrowd that is not a number'
        if problem:
            name = repr(ann['id']) if 'id' in ann else f'number {number}'
            raise InputError(
                f'annotation file {self.ann_file!r}: annotation {name} {problem}; '
                'correct or remove it'
            )
        seen.add(ann['id'])
        ann.setdefault('iscrowd', False)

    def _get_topdown_data_infos(self, instance_list: list[dict]) -> list[dict]:
        """Leave out what MMPose leaves out, with a count."""
        people = super()._get_topdown_data_infos(instance_list)
        kept = {id(person) for person in people}
        reasons = Counter(map(_why_invalid, (p for p in instance_list if id(p) not in kept)))
        for reason, count in reasons.items():
            warn_dropped(
                self.ann_file,
                count,
                len(instance_list),
                reason,
                logging.INFO if reason in EXPECTED else logging.WARNING,
            )
        if not people:
            raise InputError(
                f'annotation file {self.ann_file!r} has no person with keypoints; '
                'take another one, or boxes from a detector (bbox_file) for testing'
            )
        if not self.test_mode:
            boxes, keypoints, visible = (
                np.concatenate([p[key] for p in people])
                for key in ('bbox', 'keypoints', 'keypoints_visible')
            )
            report_unlearnable(self.ann_file, boxes, keypoints, visible)
        return people

    def _load_detection_results(self) -> list[dict]:
        """Read a detector's boxes of persons; keypoints are placeholders, as MMPose's."""
        images = {img['id']: img for img in self._read_content()['images']}
        where = f'detector file {self.bbox_file!r}'
        found = read_json(self.bbox_file, 'detector file', BOX_HELP)
        if not isinstance(found, list):
            raise InputError(f'{where} is not a list of {BOX_KEYS}; {BOX_HELP}')
        for number, box in enumerate(found):
            if (
                not isinstance(box, dict)
                or not {'image_id', 'category_id'} <= box.keys()
                or numbers(box.get('bbox'), (4,)) is None
                or numbers(box.get('score'), ()) is None
            ):
                raise InputError(
                    f'{where} is not a list of {BOX_KEYS}: entry {number} is '
                    f'{str(box)[:80]}; {BOX_HELP}'
                )
        people = [box for box in found if box['category_id'] == 1]
        foreign = [box['image_id'] for box in people if box['image_id'] not in images]
        if foreign:
            raise InputError(
                f'{where}: {len(foreign)} of {len(people)} boxes lie in images that '
                f'{self.ann_file} does not list (first: image_id {foreign[0]}); take '
                'the detector file that was made for these images'
            )
        sized = [box for box in people if min(box['bbox'][2:]) > 0]
        warn_dropped(
            self.bbox_file, len(people) - len(sized), len(people), 'with a box without size'
        )
        count = self.metainfo['num_keypoints']
        return [
            dict(
                img_id=box['image_id'],
                img_path=images[box['image_id']]['img_path'],
                img_shape=(images[box['image_id']]['height'], images[box['image_id']]['width']),
                bbox=bbox_xywh2xyxy(np.array([box['bbox']], dtype=np.float32)),
                bbox_score=np.array([box['score']], dtype=np.float32),
                keypoints=np.zeros((1, count, 2), dtype=np.float32),
                keypoints_visible=np.ones((1, count), dtype=np.float32),
                id=i,
            )
            for i, box in enumerate(sized)
        ]

    def filter_data(self) -> list[dict]:
        """Filter as MMPose does; refuse a detector file of which nothing is left."""
        people = super().filter_data()
        if self.bbox_file and not people:
            threshold = (self.filter_cfg or {}).get('bbox_score_thr', 0.0)
            raise InputError(
                f'detector file {self.bbox_file!r} has no box of a person '
                f'(category_id 1) with a score of {threshold} or more; {BOX_HELP}'
            )
        return people


def _why_invalid(person: dict) -> str:
    """Return the reason for which MMPose leaves a person out of top-down data."""
    x1, y1, x2, y2 = person['bbox'][0]
    if person['iscrowd']:
        return CROWD
    if x2 <= x1 or y2 <= y1:
        return 'with a box without size inside the image'
    return UNLABELLED if person['num_keypoints'] == 0 else 'with all keypoints outside the image'
