"""``MpiiSubmission``: predictions in the file that MPII's benchmark evaluates.

MPII does not publish the labels of its test set. Its evaluation toolkit (evalMPII: ``README.md``,
``evaluatePCKh.m``, ``flatten_annolist.m``, ``annolist2matrix.m``) reads
``pred_keypoints_mpii.mat``:

- ``pred``: struct array, one entry for each test image, in the order of
  ``RELEASE.annolist(RELEASE.img_train == 0)`` of MPII's own ``mpii_human_pose_v1_u12_1.mat``; the
  toolkit asserts their number and takes them by position;
- ``pred(i).annorect``: the image's person rectangles in the release's order. Rectangles without
  ``objpos`` are ignored, and those that ``RELEASE.single_person{i}`` lists are scored;
- ``pred(i).annorect(j).annopoints.point``: 16 structs ``x``, ``y`` (1-based pixels) and ``id``
  (0 ... 15, MPII's joint order).

``mpii_test.json`` holds the 7,247 scored persons with image, centre and scale, but neither the
order of the images nor the number of the rectangle. Both come from the release's file: a person is
the rectangle of its image whose ``objpos`` is its centre.

The toolkit's figures: "Total" and AUC are :class:`~mspose_plugin.evaluation.PCKhAUC`'s ``PCKh`` and
``AUC``; its "Head" is the mean of head top and upper neck, where ``PCKhAUC``, like the published
validation tables, has the head top alone.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmpose.registry import METRICS
from mmpose.utils.tensor_utils import to_numpy

from mspose_plugin.evaluation import pck
from mspose_plugin.utils.checks import check, refused
from mspose_plugin.utils.errors import InputError
from mspose_plugin.utils.files import check_writable_file, read_mat
from mspose_plugin.utils.matlab import struct_array, write_mat

RELEASE_HELP = (
    'download mpii_human_pose_v1_u12_2.zip ("Annotations") from '
    'http://human-pose.mpi-inf.mpg.de and name its mpii_human_pose_v1_u12_1.mat'
)
TOLERANCE = 1.0  # pixels between a person's centre and the release's objpos


@METRICS.register_module()
class MpiiSubmission(BaseMetric):
    """Write the predictions of MPII's test set for its benchmark; nothing is evaluated.

    Args:
        out_file: the ``.mat`` file to write, ``pred_keypoints_mpii.mat`` by the benchmark's
            convention. It appears complete or not at all.
        release_file: MPII's ``mpii_human_pose_v1_u12_1.mat``, which gives the order of images and
            persons. None: images and persons are in the order of the annotation file, which the
            toolkit takes only if the ground truth has the same order. Default: None.
        collect_device: as for MMEngine's ``BaseMetric``. Default: ``'cpu'``.
        prefix: as for MMEngine's ``BaseMetric``. Default: None.
        collect_dir: as for MMEngine's ``BaseMetric``. Default: None.

    Raises:
        InputError: ``out_file`` is no ``.mat`` file or cannot be written, or ``release_file`` is
            not MPII's.
    """

    default_prefix = ''  # no warning about a missing one

    def __init__(
        self,
        out_file: str,
        release_file: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        """Check the files before anything is predicted; see the class for the arguments."""
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        check_writable_file(str(out_file), '.mat')
        self.out_file = str(out_file)
        self.release_file = release_file
        # read now, so that a wrong file does not show only after hours of testing
        self.release = read_release(release_file) if release_file and is_main_process() else {}

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the predictions of a batch.

        Args:
            data_batch: not used.
            data_samples: with ``id``, ``raw_ann_info`` (``image``, ``center``, ``scale``; 1-based),
                as ``ZeroBasedMpiiDataset`` gives them at test, and ``pred_instances.keypoints``
                ``[1, 16, 2]``, 0-based pixels.

        Raises:
            InputError: other data.
        """
        for sample in data_samples:
            person: Any = sample.get('raw_ann_info')
            fits = isinstance(person, Mapping) and {'image', 'center', 'scale'} <= person.keys()
            check(
                fits,
                'MpiiSubmission needs ZeroBasedMpiiDataset with test_mode=True, and id and '
                'raw_ann_info among the meta_keys of PackPoseInputs',
            )
            keypoints = to_numpy(sample['pred_instances']['keypoints'])
            pck.check_joints(keypoints, pck.MPII_JOINTS, 'MpiiSubmission')
            self.results.append(
                dict(
                    id=sample['id'],
                    image=person['image'],
                    center=person['center'],
                    scale=person['scale'],
                    keypoints=keypoints[0, :, :2].astype(np.float64) + 1,
                )
            )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Write the file.

        Args:
            results: one entry for each person of all processes, in any order.

        Returns:
            No metrics.

        Raises:
            InputError: nobody was predicted, a person is not in ``release_file``, or the file
                cannot be written.
        """
        check(results, 'MpiiSubmission: there is nobody to predict; is the test set empty?')
        people = sorted(results, key=lambda person: person['id'])
        images = copy.deepcopy(self.release) or images_of(people)
        if self.release_file:
            place_persons(images, people, self.release_file)
        left = sum(
            rect['scored'] and 'keypoints' not in rect
            for rects in images.values()
            for rect in rects
        )
        write_mat(self.out_file, dict(pred=to_struct(images)))
        logger = MMLogger.get_current_instance()
        logger.info(
            f'{self.out_file}: {len(people)} persons in {len(images)} images, in the order '
            f'of {self.release_file or "the annotation file"}'
        )
        if not self.release_file:
            logger.warning(
                "MpiiSubmission: MPII's benchmark expects the order of its own release; "
                f'set release_file ({RELEASE_HELP})'
            )
        if left:
            logger.warning(
                f'{self.out_file}: {left} persons that the benchmark scores have no '
                'prediction and will count as missed'
            )
        return {}


def read_release(path: str) -> dict[str, list[dict]]:
    """Read the test images of MPII's release.

    Args:
        path: ``mpii_human_pose_v1_u12_1.mat``, or one of its structure.

    Returns:
        By image name, in order, the rectangles as dictionaries of ``objpos`` ``[2]`` (x, y in
        1-based pixels; None without), ``scale`` and ``scored``.

    Raises:
        InputError: not such a file.
    """
    content = read_mat(
        path, 'RELEASE', "MPII's release (release_file)", RELEASE_HELP, struct_as_record=False
    )
    parts = 'annolist with image names and annorect, img_train or single_person'
    errors = (AttributeError, IndexError, TypeError, ValueError)
    with refused(f'{path}: RELEASE lacks {parts}', *errors, remedy=RELEASE_HELP):
        release = content['RELEASE'].item()
        test = np.flatnonzero(release.img_train.ravel() == 0)
        annolist, single = release.annolist.ravel(), release.single_person.ravel()
        images = {
            str(annolist[i].image.item().name.item()): [
                _rectangle(rect, number in single[i].ravel())
                for number, rect in enumerate(annolist[i].annorect.ravel(), start=1)
            ]
            for i in test
        }
    counts = f'{len(test)} test images with {len(images)} different names'
    check(0 < len(images) == len(test), f'{path}: RELEASE has {counts}; {RELEASE_HELP}')
    return images


def _rectangle(rect: Any, scored: bool) -> dict[str, Any]:
    position = getattr(rect, 'objpos', np.array([]))
    if not position.size:  # the toolkit passes it over, too
        return dict(objpos=None, scale=None, scored=False)
    at = position.item()
    return dict(
        objpos=np.array([at.x.item(), at.y.item()], dtype=np.float64),
        scale=float(rect.scale.item()),
        scored=bool(scored),
    )


def place_persons(images: dict[str, list[dict]], people: Sequence[dict], path: str) -> None:
    """Give each person's keypoints to the rectangle whose ``objpos`` is its centre.

    Args:
        images: of :func:`read_release`; rectangles get ``keypoints``.
        people: with ``image``, ``center`` (1-based pixels) and ``keypoints`` ``[16, 2]``.
        path: the release's file, for messages.

    Raises:
        InputError: a person's image or rectangle is not there, or is another person's.
    """
    for person in people:
        rects = [rect for rect in images.get(person['image'], ()) if rect['objpos'] is not None]
        away = [np.abs(rect['objpos'] - person['center']).max() for rect in rects]
        rect = rects[int(np.argmin(away))] if away and min(away) <= TOLERANCE else None
        if rect is None or 'keypoints' in rect:
            problem = 'belongs to another person already' if rect else 'is not among its persons'
            raise InputError(
                f'{path}: person {person["id"]} of the annotation file ({person["image"]}, center '
                f'{list(person["center"])}) {problem}; use mpii_test.json of MPII\'s test set'
            )
        rect['keypoints'] = person['keypoints']


def images_of(people: Sequence[dict]) -> dict[str, list[dict]]:
    """Return the persons by image, in order, as :func:`read_release` returns rectangles."""
    images: dict[str, list[dict]] = {}
    for person in people:
        images.setdefault(person['image'], []).append(
            dict(
                objpos=np.asarray(person['center'], dtype=np.float64),
                scale=float(person['scale']),
                scored=True,
                keypoints=person['keypoints'],
            )
        )
    return images


def to_struct(images: Mapping[str, Sequence[dict]]) -> np.ndarray:
    """Return MATLAB's struct array ``pred`` ``[1, images]`` for :func:`scipy.io.savemat`."""
    nothing = np.zeros((0, 0))
    return struct_array(
        [
            dict(
                image=dict(name=PurePath(name).name),
                annorect=struct_array(
                    [
                        dict(
                            scale=nothing if rect['objpos'] is None else rect['scale'],
                            objpos=nothing
                            if rect['objpos'] is None
                            else dict(x=rect['objpos'][0], y=rect['objpos'][1]),
                            annopoints=dict(
                                point=struct_array(
                                    [
                                        dict(x=x, y=y, id=float(k))
                                        for k, (x, y) in enumerate(rect['keypoints'].tolist())
                                    ]
                                )
                            )
                            if 'keypoints' in rect
                            else nothing,
                        )
                        for rect in rects
                    ]
                )
                if rects
                else nothing,
            )
            for name, rects in images.items()
        ]
    )
