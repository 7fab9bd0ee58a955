"""MPII with joints and centres in 0-based pixels.

MPII's annotations are 1-based. MMPose's ``MpiiDataset`` shifts the person's centre but not the
joints, and its metric adds 1 to the predictions; training targets and predictions are then one
pixel off the image. Here both are shifted; evaluate with ``PCKhAUC``.

Person box: centre ``y += 15 * scale``, side ``200 * scale``, which ``GetBBoxCenterScale`` pads by
1.25 in the pipeline.

Ground truth: the ``.json`` files hold joints with four decimals, ``mpii_gt_val.mat`` all digits.
One joint of the published stacked hourglass lies closer to PCKh@0.1 than that; the joints of the
``.mat`` file are therefore used where it has them, in float64.
"""

from __future__ import annotations

import os.path as osp
from pathlib import Path
from typing import Any

import mmpose
import numpy as np
from mmpose.datasets.datasets import MpiiDataset
from mmpose.registry import DATASETS
from mmpose.structures.bbox import bbox_cs2xyxy

from mspose_plugin.datasets.annotations import (
    numeric,
    read_columns,
    report_unlearnable,
    text,
    warn_dropped,
)
from mspose_plugin.utils.checks import check, check_numbers, check_value
from mspose_plugin.utils.files import check_folder, read_json, read_mat

NUM_JOINTS = 16
IMAGES_HELP = (
    'download mpii_human_pose_v1.tar.gz from http://human-pose.mpi-inf.mpg.de and '
    'unpack it to data/mpii/images'
)
SYNTHETIC_HELP = 'or try synthetic people: mspose synthesize --layout mpii'
ANN_HELP = (
    'put the files of https://download.openmmlab.com/mmpose/datasets/mpii_annotations.tar '
    f'(MPII as prepared for MMPose) into data/mpii/annotations and {IMAGES_HELP}; '
    f'{SYNTHETIC_HELP}'
)
FIELDS = dict(
    image=text(
        r'\d+(\.|$)', 'a file name with a number before the first dot, such as 015601864.jpg'
    ),
    center=numeric(2),
    scale=numeric(),
    joints=numeric(NUM_JOINTS, 2),
    joints_vis=numeric(NUM_JOINTS),
)
FORMAT = "correct it, or take MMPose's MPII files; only test sets may lack joints and joints_vis"
UNLABELLED = dict(joints=[[-1.0, -1.0]] * NUM_JOINTS, joints_vis=[0] * NUM_JOINTS)


def installed_metainfo() -> dict:
    """Return MMPose's MPII metainfo by a path that no file under the working folder can shadow."""
    path = Path(mmpose.__file__).parent / '.mim/configs/_base_/datasets/mpii.py'
    return dict(from_file=str(path)) if path.is_file() else MpiiDataset.METAINFO


@DATASETS.register_module()
class ZeroBasedMpiiDataset(MpiiDataset):
    """MPII persons whose joints, centre and box are 0-based, checked on loading.

    Persons with a scale that is not positive are left out; persons without a labelled joint are
    left out of training and kept at test, where they do not count. Each is one counted warning.
    With ``test_mode=True`` persons may lack ``joints`` and ``joints_vis``, as in
    ``mpii_test.json``; they count as unlabelled.

    Keypoints ``[1, 16, 2]`` are float32 in training, as MMPose's, and float64 at test. At test
    ``raw_ann_info`` holds the file's ``image``, ``center`` and ``scale`` for ``MpiiSubmission``.

    Args:
        *args: as MMPose's ``MpiiDataset``: ``ann_file``, ``headbox_file`` (``mpii_gt_val.mat``, for
            ``PCKhAUC``, with ``test_mode=True`` only; its joints replace those of ``ann_file``),
            ``data_root``, ``data_prefix``, ``pipeline``, ``test_mode`` ...
        **kwargs: likewise. ``bbox_file`` is refused: MPII's persons come with centre and scale.

    Raises:
        InputError: a file is missing or not what it should be; the message names file and entry.
    """

    METAINFO: dict = installed_metainfo()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Check the head-box file's use; see the class for the arguments."""
        file = kwargs.get('headbox_file')
        fits = not file or kwargs.get('test_mode') and str(file).endswith('.mat')
        owner = 'ZeroBasedMpiiDataset: headbox_file'
        check_value(fits, owner, file, 'a .mat file, with test_mode=True')
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Load the annotations; refuse detector boxes.

        Returns:
            One entry for each person (``data_mode='topdown'``).
        """
        owner = 'ZeroBasedMpiiDataset: bbox_file'
        check_value(not self.bbox_file, owner, self.bbox_file, 'none; MPII has centres and scales')
        return super().load_data_list()

    def _load_annotations(self) -> tuple[list[dict], list[dict]]:
        """Read the files, shift to 0-based pixels and leave persons out."""
        anns = read_json(self.ann_file, 'MPII annotation file', ANN_HELP)
        some = isinstance(anns, list) and anns
        check(some, f'{self.ann_file}: expected a non-empty list of MPII persons; {ANN_HELP}')
        if self.test_mode:
            anns = [{**UNLABELLED, **p} if _is_unlabelled(p) else p for p in anns]
        columns = read_columns(self.ann_file, 'person', anns, FIELDS, FORMAT)
        folder = self.data_prefix.get('img', '')
        check_folder(folder, 'MPII image folder', f'{IMAGES_HELP}; {SYNTHETIC_HELP}')
        joints, visible = columns['joints'], (columns['joints_vis'] > 0).astype(int)
        head_sizes = None
        if self.headbox_file:
            head_sizes, joints, visible = read_ground_truth(
                self.headbox_file, self.ann_file, joints, visible
            )
        centers = columns['center'].astype(np.float32)
        sides = 200 * np.repeat(columns['scale'].astype(np.float32)[:, None], 2, axis=1)
        centers[:, 1] += np.where(centers[:, 0] != -1, 15 / 200 * sides[:, 1], 0)
        centers -= 1
        boxes = bbox_cs2xyxy(centers, sides)
        areas = np.clip(0.53 * sides.prod(axis=1, keepdims=True), 1.0, None)

        keep = sides.min(axis=1) > 0
        warn_dropped(self.ann_file, (~keep).sum(), len(keep), 'without a positive scale')
        if not self.test_mode:
            blank = keep & ~visible.any(axis=1)
            warn_dropped(self.ann_file, blank.sum(), len(keep), 'without a labelled joint')
            keep &= ~blank
        check(keep.any(), f'{self.ann_file}: none of the {len(keep)} persons is usable')
        if not self.test_mode:
            report_unlearnable(self.ann_file, boxes[keep], joints[keep] - 1, visible[keep])

        keypoints = (joints - 1).astype(np.float64 if self.test_mode else np.float32)
        people = []
        for i in np.flatnonzero(keep).tolist():
            one, ann = slice(i, i + 1), anns[i]
            people.append(
                dict(
                    id=i,
                    img_id=int(ann['image'].split('.')[0]),
                    img_path=osp.join(folder, ann['image']),
                    bbox_center=centers[one],
                    bbox_scale=sides[one],
                    bbox=boxes[one],
                    bbox_score=np.ones(1, dtype=np.float32),
                    keypoints=keypoints[one],
                    keypoints_visible=visible[one],
                    area=areas[i],
                    category_id=ann.get('category_id', [1]),
                )
            )
            if head_sizes is not None:
                people[-1]['head_size'] = head_sizes[one, None]
            if self.test_mode:
                people[-1]['raw_ann_info'] = {key: ann[key] for key in ('image', 'center', 'scale')}
        images = {p['img_id']: dict(img_id=p['img_id'], img_path=p['img_path']) for p in people}
        return people, list(images.values())

    def _get_topdown_data_infos(self, instance_list: list[dict]) -> list[dict]:
        """Keep what :meth:`_load_annotations` kept (MMPose would silently drop some)."""
        return instance_list


def _is_unlabelled(person: Any) -> bool:
    return isinstance(person, dict) and not UNLABELLED.keys() & person.keys()


def read_ground_truth(
    path: str,
    ann_file: str,
    joints: np.ndarray,
    visible: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read head sizes and, where the file has them, joints with all their digits.

    Args:
        path: ``.mat`` file with ``headboxes_src`` ``[2, 2, N]``, the corners, and optionally
            ``pos_gt_src`` ``[16, 2, N]`` and ``jnt_missing`` ``[16, N]``.
        ann_file: the annotation file, for messages.
        joints: ``[N, 16, 2]`` of the annotation file, 1-based pixels.
        visible: ``[N, 16]`` of the annotation file.

    Returns:
        Head sizes ``[N]`` in pixels (0.6 times the diagonal of the head box), joints and
        visibility; float64, int and 1-based as those given.

    Raises:
        InputError: not such a file, or not the ground truth of these persons.
    """
    what = 'MPII head-box file (headbox_file, relative to the working folder, not to data_root)'
    content = read_mat(path, 'headboxes_src', what, ANN_HELP)
    num, where = len(joints), f'MPII head-box file {path!r}'
    corners = content['headboxes_src']
    boxes = check_numbers(f'{where}: headboxes_src', corners, (2, 2, None), finite=False)
    check(
        boxes.shape[2] == num,
        f'{path} has head boxes of {boxes.shape[2]} persons, {ann_file} has {num} persons; '
        'the two must belong together',
    )
    diagonal = np.linalg.norm(boxes[1] - boxes[0], axis=0)
    bad = np.flatnonzero(~(np.isfinite(diagonal) & (diagonal > 0)))
    check(not len(bad), f'{path}: {len(bad)} head boxes without a size, first person {bad[:1]}')
    if not {'pos_gt_src', 'jnt_missing'} <= content.keys():
        return 0.6 * diagonal, joints, visible
    positions, missing = content['pos_gt_src'], content['jnt_missing']
    exact = check_numbers(f'{where}: pos_gt_src', positions, (NUM_JOINTS, 2, num))
    exact = exact.transpose(2, 0, 1)
    labelled = check_numbers(f'{where}: jnt_missing', missing, (NUM_JOINTS, num)).T == 0
    both = labelled & (visible > 0)
    same = not both.any() or np.median(np.abs(exact - joints)[both]) <= 1
    check(same, f'{path} and {ann_file} have different joints; the two must belong together')
    return 0.6 * diagonal, exact, labelled.astype(int)
