"""MPII with joints and centres in 0-based pixels.

MPII's annotations are 1-based. MMPose's ``MpiiDataset`` shifts the person's centre but not the
joints, and its metric adds 1 to the predictions; training targets and predictions are then one
pixel off the image. Here both are shifted; evaluate with ``PCKhAUC``.

Person box: centre ``y += 15 * scale``, side ``200 * scale``, which ``GetBBoxCenterScale`` pads by
1.25 in the pipeline.
"""
from __future__ import annotations

from pathlib import Path
from typing import Any

import mmpose
import numpy as np
from mmpose.datasets.datasets import MpiiDataset
from mmpose.registry import DATASETS

from mspose_plugin.errors import InputError

from .checks import numbers, read_json, read_mat, require_folder, warn_dropped

NUM_JOINTS = 16
IMAGES_HELP = ('download mpii_human_pose_v1.tar.gz from http://human-pose.mpi-inf.mpg.de and '
               'unpack it to data/mpii/images')
SYNTHETIC_HELP = ('or make synthetic people: python tools/make_synthetic.py --layout mpii --out '
                  'data/mpii')
ANN_HELP = ('put the files of https://download.openmmlab.com/mmpose/datasets/mpii_annotations.tar '
            f'(MPII as prepared for MMPose) into data/mpii/annotations and {IMAGES_HELP}; '
            f'{SYNTHETIC_HELP}')


def installed_metainfo() -> dict:
    """Return MMPose's MPII metainfo by a path that no file under the working folder can shadow."""
    path = Path(mmpose.__file__).parent / '.mim/configs/_base_/datasets/mpii.py'
    return dict(from_file=str(path)) if path.is_file() else MpiiDataset.METAINFO


@DATASETS.register_module()
class ZeroBasedMpiiDataset(MpiiDataset):
    """MPII persons whose joints, centre and box are 0-based, checked on loading.

    Persons with a scale that is not positive are left out; persons without a labelled joint are
    left out of training and kept at test, where they do not count. Each is one counted warning.

    Args:
        *args: as MMPose's ``MpiiDataset``: ``ann_file``, ``headbox_file`` (``mpii_gt_val.mat``, for
            ``PCKhAUC``, with ``test_mode=True`` only), ``data_root``, ``data_prefix``, ``pipeline``
            ``test_mode`` ...
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
            raise InputError('ZeroBasedMpiiDataset: bbox_file is not supported; MPII persons come '
                             'with a centre and a scale')
        return super().load_data_list()

    def _load_annotations(self) -> tuple[list[dict], list[dict]]:
        """Check the files, read them as MMPose does, shift the joints and leave persons out."""
        anns = read_json(self.ann_file, 'MPII annotation file', ANN_HELP)
        check_annotations(self.ann_file, anns)
        if self.headbox_file:
            check_headboxes(self.headbox_file, len(anns), self.ann_file)
        require_folder(self.data_prefix.get('img', ''), 'MPII image folder',
                       f'{IMAGES_HELP}; {SYNTHETIC_HELP}')
        instances, images = super()._load_annotations()
        for person in instances:
            person['keypoints'] -= 1
        kept = [person for person in instances if person['bbox_scale'].min() > 0]
        warn_dropped(self.ann_file, len(instances) - len(kept), len(instances),
                     'without a positive scale')
        if not self.test_mode:
            labelled = [person for person in kept if (person['keypoints_visible'] > 0).any()]
            warn_dropped(self.ann_file, len(kept) - len(labelled), len(instances),
                         'without a labelled joint')
            kept = labelled
        if not kept:
            raise InputError(f'{self.ann_file}: none of the {len(instances)} persons is usable')
        used = {person['img_id'] for person in kept}
        return kept, [image for image in images if image['img_id'] in used]

    def _get_topdown_data_infos(self, instance_list: list[dict]) -> list[dict]:
        """Keep what :meth:`_load_annotations` kept (MMPose would drop some without a word)."""
        return instance_list


def check_annotations(path: str, anns: Any) -> None:
    """Raise :class:`InputError` for the first entry that MMPose's reader would trip over.

    Args:
        path: file the annotations come from.
        anns: what the JSON file holds; must be a list of ``image`` (file name, a number before
            the first dot), ``center`` (x, y), ``scale``, ``joints`` ``[16, 2]`` and ``joints_vis``
            ``[16]``.
    """
    if not isinstance(anns, list) or not anns:
        raise InputError(f'{path}: expected a non-empty list of MPII persons; {ANN_HELP}')
    for i, ann in enumerate(anns):
        where = f'{path}: person {i}'
        if not isinstance(ann, dict):
            raise InputError(f'{where} is not an object with image, center, scale, joints')
        missing = {'image', 'center', 'scale', 'joints', 'joints_vis'} - ann.keys()
        if missing:
            raise InputError(f'{where} lacks {", ".join(sorted(missing))}; MMPose\'s MPII format '
                             'needs image, center, scale, joints and joints_vis')
        if not isinstance(ann['image'], str) or not ann['image'].split('.')[0].isdecimal():
            raise InputError(f'{where}: image {ann["image"]!r} is not a file name with a number '
                             'before the first dot, such as 015601864.jpg')
        for key, shape in (('center', (2, )), ('scale', ()), ('joints', (None, 2)),
                           ('joints_vis', (None, ))):
            if numbers(ann[key], shape) is None:
                wanted = 'x'.join('n' if n is None else str(n) for n in shape) or 'one'
                raise InputError(f'{where}: {key} is not {wanted} finite number(s)')
        counts = len(ann['joints']), len(ann['joints_vis'])
        if counts != (NUM_JOINTS, NUM_JOINTS):
            raise InputError(f'{where} has {counts[0]} joints and {counts[1]} joints_vis; MPII has '
                             f'{NUM_JOINTS}')


def check_headboxes(path: str, num_persons: int, ann_file: str) -> None:
    """Raise :class:`InputError` unless a file has one proper head box for each person.

    Args:
        path: ``.mat`` file with ``headboxes_src`` ``[2, 2, N]``, the corners.
        num_persons: persons of the annotation file.
        ann_file: that file, for the message.
    """
    what = 'MPII head-box file (headbox_file, relative to the working folder, not to data_root)'
    boxes = read_mat(path, 'headboxes_src', what, ANN_HELP)
    if boxes.ndim != 3 or boxes.shape[:2] != (2, 2) or boxes.dtype.kind not in 'iuf':
        raise InputError(f'{path}: headboxes_src must be numbers [2, 2, persons], got '
                         f'{boxes.dtype} {boxes.shape}')
    if boxes.shape[2] != num_persons:
        raise InputError(f'{path} has head boxes of {boxes.shape[2]} persons, {ann_file} has '
                         f'{num_persons} persons; the two must belong together')
    boxes = boxes.astype(np.float64)
    diagonal = np.linalg.norm(boxes[1] - boxes[0], axis=0)
    bad = np.flatnonzero(~(np.isfinite(diagonal) & (diagonal > 0)))
    if len(bad):
        raise InputError(f'{path}: {len(bad)} head box(es) without a size, the first is person '
                         f'{bad[0]}')
