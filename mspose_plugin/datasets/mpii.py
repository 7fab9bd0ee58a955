"""MPII with joints and centres in 0-based pixels.

MPII's annotations are 1-based. MMPose's ``MpiiDataset`` shifts the person's centre but not the
joints, and its metric adds 1 to the predictions; training targets and predictions are then one
pixel off the image. Here both are shifted; evaluate with ``PCKhAUC``.

Person box: centre ``y += 15 * scale``, side ``200 * scale``, which ``GetBBoxCenterScale`` pads by
1.25 in the pipeline.

Ground truth: the ``.json`` files hold joints with four decimals, ``mpii_gt_val.mat`` all digits.
One joint of the published stacked hourglass lies closer to PCKh@0.1 than that, so that the ``.mat``
file's joints are taken where it has them, in float64.
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

from mspose_plugin.datasets.reports import report_unlearnable, warn_dropped
from mspose_plugin.utils.checks import numbers
from mspose_plugin.utils.errors import InputError
from mspose_plugin.utils.files import check_folder, read_json, read_mat

NUM_JOINTS = 16
IMAGES_HELP = (
    'download mpii_human_pose_v1.tar.gz from http://human-pose.mpi-inf.mpg.de and '
    'unpack it to data/mpii/images'
)
SYNTHETIC_HELP = 'or try synthetic people: python tools/demo.py'
ANN_HELP = (
    'put the files of https://download.openmmlab.com/mmpose/datasets/mpii_annotations.tar '
    f'(MPII as prepared for MMPose) into data/mpii/annotations and {IMAGES_HELP}; '
    f'{SYNTHETIC_HELP}'
)


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
        headbox_file = kwargs.get('headbox_file')
        if headbox_file and not (kwargs.get('test_mode') and str(headbox_file).endswith('.mat')):
            raise InputError('ZeroBasedMpiiDataset: headbox_file is a .mat file for test_mode=True')
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Load the annotations; refuse detector boxes.

        Returns:
            One entry for each person (``data_mode='topdown'``).
        """
        if self.bbox_file:
            raise InputError(
                'ZeroBasedMpiiDataset: bbox_file is not supported; MPII persons come '
                'with a centre and a scale'
            )
        return super().load_data_list()

    def _load_annotations(self) -> tuple[list[dict], list[dict]]:
        """Read the files, shift to 0-based pixels and leave persons out."""
        anns = read_json(self.ann_file, 'MPII annotation file', ANN_HELP)
        check_annotations(self.ann_file, anns, need_joints=not self.test_mode)
        folder = self.data_prefix.get('img', '')
        check_folder(folder, 'MPII image folder', f'{IMAGES_HELP}; {SYNTHETIC_HELP}')
        nowhere = np.full((NUM_JOINTS, 2), -1.0), np.zeros(NUM_JOINTS, dtype=int)
        joints = np.array([ann.get('joints', nowhere[0]) for ann in anns], dtype=np.float64)
        visible = np.array([ann.get('joints_vis', nowhere[1]) for ann in anns])
        head_sizes = None
        if self.headbox_file:
            head_sizes, joints, visible = read_ground_truth(
                self.headbox_file, self.ann_file, joints, visible
            )
        centers = np.array([ann['center'] for ann in anns], dtype=np.float32)
        sides = 200 * np.array([[ann['scale']] * 2 for ann in anns], dtype=np.float32)
        centers[:, 1] += np.where(centers[:, 0] != -1, 15 / 200 * sides[:, 1], 0)
        centers -= 1
        boxes = bbox_cs2xyxy(centers, sides)
        areas = np.clip(0.53 * sides.prod(axis=1, keepdims=True), 1.0, None)

        keep = sides.min(axis=1) > 0
        warn_dropped(self.ann_file, (~keep).sum(), len(keep), 'without a positive scale')
        if not self.test_mode:
            blank = keep & ~(visible > 0).any(axis=1)
            warn_dropped(self.ann_file, blank.sum(), len(keep), 'without a labelled joint')
            keep &= ~blank
        if not keep.any():
            raise InputError(f'{self.ann_file}: none of the {len(keep)} persons is usable')
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
        """Keep what :meth:`_load_annotations` kept (MMPose would drop some without a word)."""
        return instance_list


def check_annotations(path: str, anns: Any, need_joints: bool = True) -> None:
    """Raise :class:`InputError` for the first entry that is not a person in MMPose's MPII format.

    Args:
        path: file the annotations come from.
        anns: what the JSON file holds; must be a list of ``image`` (file name, a number before
            the first dot), ``center`` (x, y), ``scale``, ``joints`` ``[16, 2]`` and ``joints_vis``
            ``[16]``.
        need_joints: False: a person may lack both ``joints`` and ``joints_vis``. Default: True.
    """
    if not isinstance(anns, list) or not anns:
        raise InputError(f'{path}: expected a non-empty list of MPII persons; {ANN_HELP}')
    joint_keys = {'joints', 'joints_vis'}
    for i, ann in enumerate(anns):
        where = f'{path}: person {i}'
        if not isinstance(ann, dict):
            raise InputError(f'{where} is not an object with image, center, scale, joints')
        labelled = need_joints or bool(joint_keys & ann.keys())
        missing = {'image', 'center', 'scale', *(joint_keys if labelled else ())} - ann.keys()
        if missing:
            test = '; only test sets may lack joints' if missing & joint_keys else ''
            raise InputError(
                f'{where} lacks {", ".join(sorted(missing))}; MMPose\'s MPII format '
                f'needs image, center, scale, joints and joints_vis{test}'
            )
        if not isinstance(ann['image'], str) or not ann['image'].split('.')[0].isdecimal():
            raise InputError(
                f'{where}: image {ann["image"]!r} is not a file name with a number '
                'before the first dot, such as 015601864.jpg'
            )
        shapes = dict(center=(2,), scale=())
        if labelled:
            shapes.update(joints=(None, 2), joints_vis=(None,))
        for key, shape in shapes.items():
            if numbers(ann[key], shape) is None:
                wanted = 'x'.join('n' if n is None else str(n) for n in shape) or 'one'
                raise InputError(f'{where}: {key} is not {wanted} finite number(s)')
        if labelled and {len(ann['joints']), len(ann['joints_vis'])} != {NUM_JOINTS}:
            raise InputError(
                f'{where} has {len(ann["joints"])} joints and '
                f'{len(ann["joints_vis"])} joints_vis; MPII has {NUM_JOINTS}'
            )


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
    boxes = content['headboxes_src']
    if boxes.ndim != 3 or boxes.shape[:2] != (2, 2) or boxes.dtype.kind not in 'iuf':
        raise InputError(
            f'{path}: headboxes_src must be numbers [2, 2, persons], got '
            f'{boxes.dtype} {boxes.shape}'
        )
    if boxes.shape[2] != len(joints):
        raise InputError(
            f'{path} has head boxes of {boxes.shape[2]} persons, {ann_file} has '
            f'{len(joints)} persons; the two must belong together'
        )
    boxes = boxes.astype(np.float64)
    diagonal = np.linalg.norm(boxes[1] - boxes[0], axis=0)
    bad = np.flatnonzero(~(np.isfinite(diagonal) & (diagonal > 0)))
    if len(bad):
        raise InputError(
            f'{path}: {len(bad)} head box(es) without a size, the first is person {bad[0]}'
        )
    if not {'pos_gt_src', 'jnt_missing'} <= content.keys():
        return 0.6 * diagonal, joints, visible
    exact = numbers(content['pos_gt_src'], (NUM_JOINTS, 2, len(joints)))
    missing = numbers(content['jnt_missing'], (NUM_JOINTS, len(joints)))
    if exact is None or missing is None:
        raise InputError(
            f'{path}: pos_gt_src must be finite numbers [16, 2, persons], jnt_missing '
            f'[16, persons]; {ANN_HELP}'
        )
    exact, labelled = exact.transpose(2, 0, 1), missing.T == 0
    both = labelled & (visible > 0)
    if both.any() and np.median(np.abs(exact - joints)[both]) > 1:
        raise InputError(
            f'{path} and {ann_file} have the same number of persons, but other '
            'joints; the two must belong together'
        )
    return 0.6 * diagonal, exact, labelled.astype(int)
