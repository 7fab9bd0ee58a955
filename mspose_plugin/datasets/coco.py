"""COCO's persons, checked while they are loaded.

MMPose's ``CocoDataset`` silently drops persons, and fails with a traceback on other bad entries.
The class below replaces it under its registered name, so that every config with
``type='CocoDataset'`` has the checks. Good entries come out as MMPose's, in the same order.

Left out, each with a count in the log: annotations without ``bbox`` or ``keypoints``, in images
that the file does not list, or of another category; in top-down data also what MMPose leaves out
(crowds, no labelled keypoint, a box without size). An entry that cannot be read ends the program
with the file, the annotation's id and a remedy.
"""

from __future__ import annotations

import logging
import os.path as osp
from collections import Counter

import numpy as np
from mmpose.datasets.datasets import CocoDataset
from mmpose.registry import DATASETS
from mmpose.structures.bbox import bbox_xywh2xyxy

from mspose_plugin.datasets.annotations import (
    INTEGER,
    numeric,
    read_columns,
    report_unlearnable,
    text,
    warn_dropped,
)
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.files import read_json

CROWD, UNLABELLED = 'marked as a crowd', 'without a labelled keypoint'
EXPECTED = (CROWD, UNLABELLED)  # COCO itself has many of them
MEND = 'correct or remove it'
IMAGE = dict(
    id=INTEGER, file_name=text(), width=numeric(positive=True), height=numeric(positive=True)
)
BOX = dict(image_id=INTEGER, category_id=INTEGER, bbox=numeric(4), score=numeric())
BOX_HELP = "give a person detector's boxes for the images of ann_file in COCO's result format"


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
        """Read persons and images; leave out, with a count, annotations that are no persons."""
        content, where = self._read_content(), f'annotation file {self.ann_file!r}'
        images = {img['id']: img for img in content['images']}
        people_ids = {
            c['id'] for c in content['categories'] if c.get('name') == 'person' or 'keypoints' in c
        }
        anns, dropped, chosen = content['annotations'], Counter[str](), []
        for ann in anns:
            if people_ids and ann.get('category_id', next(iter(people_ids))) not in people_ids:
                dropped['of another category'] += 1
            elif not {'bbox', 'keypoints'} <= ann.keys():
                dropped['without bbox or keypoints'] += 1
            else:
                chosen.append(ann)
        fields = dict(
            id=INTEGER,
            image_id=INTEGER,
            category_id=INTEGER,
            bbox=numeric(4),
            keypoints=numeric(3 * self.metainfo['num_keypoints']),
            num_keypoints=numeric(default=0),
            area=numeric(default=0),
            iscrowd=numeric(default=0),
        )
        ids = read_columns(where, 'annotation', chosen, fields, MEND)['id']
        _check_unique(where, 'annotations', ids)
        people: dict[int, list[dict]] = {img_id: [] for img_id in images}
        for ann in chosen:
            if ann['image_id'] in images:
                people[ann['image_id']].append({'iscrowd': False, **ann})
            else:
                dropped['in images that the file does not list'] += 1
        for reason, count in dropped.items():
            warn_dropped(self.ann_file, count, len(anns), reason)
        sampled = [img for img in images.values() if img['id'] % self.sample_interval == 0]
        return [
            self.parse_data_info(dict(raw_ann_info=ann, raw_img_info=img))
            for img in sampled
            for ann in people[img['id']]
        ], sampled

    def _read_content(self) -> dict[str, list[dict]]:
        """Read ``ann_file`` and check its parts; images get ``img_id`` and ``img_path``."""
        where = f'annotation file {self.ann_file!r}'
        content = read_json(self.ann_file, 'annotation file', 'check ann_file')
        fits = isinstance(content, dict) and content.get('images')
        check(fits, f"{where} has no 'images'; expected COCO's format")
        parts = {key: content.get(key) or [] for key in ('images', 'annotations', 'categories')}
        ids = read_columns(where, 'image', parts['images'], IMAGE, MEND)['id']
        _check_unique(where, 'images', ids)
        read_columns(where, 'category', parts['categories'], dict(id=INTEGER), MEND)
        read_columns(where, 'annotation', parts['annotations'], {}, MEND)
        for img in parts['images']:
            path = osp.join(self.data_prefix['img'], img['file_name'])
            img.update(img_id=img['id'], img_path=path)
        self._metainfo['CLASSES'] = parts['categories']
        return parts

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
        none = f'annotation file {self.ann_file!r} has no person with keypoints'
        check(people, f'{none}; take another one, or a detector\'s boxes (bbox_file) for testing')
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
        read_columns(where, 'box', found, BOX, BOX_HELP)
        people = [box for box in found if box['category_id'] == 1]
        foreign = [box['image_id'] for box in people if box['image_id'] not in images]
        first = next(iter(foreign), None)
        check(
            not foreign,
            f'{where}: {len(foreign)} of {len(people)} boxes lie in images that {self.ann_file} '
            f'does not list (first: image_id {first}); take the detector file that was made '
            'for these images',
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
        """Filter as MMPose does; refuse a detector file that leaves nobody."""
        people = super().filter_data()
        threshold = (self.filter_cfg or {}).get('bbox_score_thr', 0.0)
        check(
            people or not self.bbox_file,
            f'detector file {self.bbox_file!r} has no box of a person (category_id 1) with a score '
            f'of {threshold} or more; {BOX_HELP}',
        )
        return people


def _check_unique(where: str, what: str, ids: list[int]) -> None:
    twice = next((i for i, count in Counter(ids).items() if count > 1), None)
    check(twice is None, f'{where} has several {what} of id {twice}; correct or remove them')


def _why_invalid(person: dict) -> str:
    """Return the reason for which MMPose leaves a person out of top-down data."""
    x1, y1, x2, y2 = person['bbox'][0]
    if person['iscrowd']:
        return CROWD
    if x2 <= x1 or y2 <= y1:
        return 'with a box without size inside the image'
    return UNLABELLED if person['num_keypoints'] == 0 else 'with all keypoints outside the image'
