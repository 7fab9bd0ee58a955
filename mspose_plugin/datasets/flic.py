"""FLIC: frames labelled in cinema, 11 joints of the upper body.

B. Sapp and B. Taskar, "MODEC: Multimodal Decomposable Models for Human Pose Estimation", CVPR 2013,
https://bensapp.github.io/flic-dataset.html: 3987 training and 1016 test persons. Read from the
original ``examples.mat`` or from the HDF5 files of pose-hg-train (Newell et al., ECCV 2016).

Conventions, the same for both formats:

- *Pixels* are 1-based in the files and 0-based here.
- *Left and right* are the person's own in ``examples.mat``, but the published evaluations are
  observer-centric: where all of shoulder, elbow and wrist of the left lie left of the right ones
  in the image (a person seen from behind), left and right change places, as if seen from the
  front. MODEC's toolkit has this rule for the arms; here hips and eyes change with them, as in
  pose-hg-train's files, which this reproduces exactly (199 training and 48 test persons). In a
  file that is already observer-centric the rule changes nothing.
- *Box*: pose-hg-train crops a square of 440 px (its ``scale`` 2.2 times 200) around the torso
  box's centre x and y = 240, half of a frame's 480 px. With ``examples.mat``: the torso box's
  centre x, half of the frame's height, side 440 px scaled with the height over 480 [ours]. The
  box is that square divided by ``PADDING``, so that ``GetBBoxCenterScale``'s default gives it back.
- *Labelled points outside the image* (hips below the frame, down to -7 px at the left) stay
  labelled: the published figures count them. Points without coordinates (NaN) are not labelled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.registry import DATASETS

from mspose_plugin.datasets.annotations import (
    numeric,
    read_columns,
    report_unlearnable,
    text,
    warn_dropped,
)
from mspose_plugin.datasets.flic_metainfo import FLIC_METAINFO
from mspose_plugin.utils.checks import check, check_choice, check_shapes, check_value, refused
from mspose_plugin.utils.files import check_folder, local_file, read_mat

COLUMNS = [0, 1, 2, 3, 4, 5, 6, 9, 12, 13, 16]  # of examples.mat's 29, in FLIC_METAINFO's order
MIRRORED = [3, 4, 5, 0, 1, 2, 7, 6, 9, 8, 10]
PADDING = 1.25
FRAME_HEIGHT, CROP_SIDE = 480, 440
EXAMPLE = dict(
    filepath=text(),
    coords=numeric(2, 29, finite=False),
    torsobox=numeric(4, finite=False),
    imgdims=numeric(2),
)
HELP = (
    'download FLIC.zip from https://bensapp.github.io/flic-dataset.html and unpack it to '
    'data/flic (examples.mat and images/), or use the .h5 files of '
    'pose-hg-train with the same images'
)


@DATASETS.register_module()
class FlicDataset(BaseCocoStyleDataset):
    """FLIC persons with 0-based, observer-centric joints.

    Persons without a usable box are left out; persons without a labelled joint are left out of
    training and kept at test. Each is one counted warning. Keypoints ``[1, 11, 2]`` are float32 in
    training, as those of MMPose's data sets, and float64 at test, as the file's.

    Args:
        ann_file: ``examples.mat``, or ``train.h5`` / ``valid.h5`` of pose-hg-train. Default: ''.
        split: ``'train'`` or ``'test'``, which persons of ``examples.mat`` to take. An ``.h5`` file
            is a split of its own and needs none. Default: None.
        observer_centric: swap left and right of persons seen from behind (module's first lines);
            False keeps the file's labels. Default: True.
        **kwargs: as MMPose's ``BaseCocoStyleDataset``: ``data_root``, ``data_prefix``,
            ``pipeline``, ``test_mode`` ...

    Raises:
        InputError: a file or the image folder is missing, or the file is not what it should be.
    """

    METAINFO: dict = FLIC_METAINFO

    def __init__(
        self,
        ann_file: str = '',
        split: str | None = None,
        observer_centric: bool = True,
        **kwargs: Any,
    ) -> None:
        """Check the split; see the class for the arguments."""
        check_choice('FlicDataset: split', split, ('train', 'test', None))
        boxes = kwargs.get('bbox_file')
        check_value(not boxes, 'FlicDataset: bbox_file', boxes, 'none; boxes come with FLIC')
        self.split = split
        self.observer_centric = observer_centric
        super().__init__(ann_file=ann_file, **kwargs)

    def _load_annotations(self) -> tuple[list[dict], list[dict]]:
        """Read persons and turn them into MMPose's entries."""
        suffix, file = Path(self.ann_file).suffix, f'FlicDataset: ann_file {self.ann_file!r}'
        check(suffix in ('.mat', '.h5', '.hdf5'), f'{file} is neither .mat nor .h5; {HELP}')
        if suffix == '.mat':
            names, joints, centers, sides = read_examples(self.ann_file, self.split)
        else:
            check_split(self.ann_file, self.split)
            names, joints, centers, sides = read_hdf5(self.ann_file)
        check_folder(self.data_prefix.get('img', ''), 'FLIC image folder', HELP)
        if self.observer_centric:
            joints = to_observer_centric(joints)
        visible = np.isfinite(joints).all(axis=2)
        joints = np.where(visible[..., None], joints - 1, 0)
        half = sides[:, None] / PADDING / 2
        boxes = np.concatenate([centers - 1 - half, centers - 1 + half], axis=1)
        keep = np.isfinite(boxes).all(axis=1) & (sides > 0)
        warn_dropped(self.ann_file, int((~keep).sum()), len(keep), 'without a usable box')
        if not self.test_mode:
            blank = keep & ~visible.any(axis=1)
            warn_dropped(self.ann_file, int(blank.sum()), len(keep), 'without a labelled joint')
            keep &= ~blank
        check(keep.any(), f'{self.ann_file}: none of the {len(keep)} persons is usable')
        if not self.test_mode:
            report_unlearnable(self.ann_file, boxes[keep], joints[keep], visible[keep])
            joints = joints.astype(np.float32)

        folder = Path(self.data_prefix.get('img', ''))
        img_ids = {name: i for i, name in enumerate(dict.fromkeys(names))}
        people = [
            dict(
                id=int(i),
                img_id=img_ids[names[i]],
                img_path=str(folder / names[i]),
                bbox=boxes[i : i + 1].astype(np.float32),
                bbox_score=np.ones(1, dtype=np.float32),
                num_keypoints=int(visible[i].sum()),
                keypoints=joints[i : i + 1],
                keypoints_visible=visible[i : i + 1].astype(np.float32),
                area=np.array([0.53 * (sides[i] / PADDING) ** 2], dtype=np.float32),
                iscrowd=0,
                category_id=[1],
            )
            for i in np.flatnonzero(keep)
        ]
        images = {p['img_id']: dict(img_id=p['img_id'], img_path=p['img_path']) for p in people}
        return people, list(images.values())

    def _get_topdown_data_infos(self, instance_list: list[dict]) -> list[dict]:
        """Keep what :meth:`_load_annotations` kept (MMPose would silently drop some)."""
        return instance_list


def to_observer_centric(joints: np.ndarray) -> np.ndarray:
    """Swap left and right of persons seen from behind.

    Args:
        joints: ``[N, 11, 2]``, NaN where not labelled (a person is swapped only when all of both
            arms is labelled).

    Returns:
        A swapped copy.
    """
    behind = (joints[:, 0:3, 0] < joints[:, 3:6, 0]).all(axis=1)
    out = joints.copy()
    out[behind] = joints[behind][:, MIRRORED]
    return out


def check_split(path: str, split: str | None) -> None:
    """Raise :class:`InputError` when an ``.h5`` file's name speaks against the wanted split."""
    stem = Path(path).stem.lower()
    named = 'train' if 'train' in stem else 'test' if 'val' in stem or 'test' in stem else None
    files = "pose-hg-train's files are train.h5 and valid.h5"
    fits = not split or not named or split == named
    check(fits, f"FlicDataset: {path} does not hold split='{split}'; {files}")


def read_hdf5(path: str) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Read a file of pose-hg-train.

    Args:
        path: HDF5 file with ``imgname`` ``[N]``, ``part`` ``[N, 11, 2]``, ``visible`` ``[N, 11]``,
            ``center`` ``[N, 2]`` and ``scale`` ``[N]`` (of 200 px).

    Returns:
        Image names, joints ``[N, 11, 2]`` (NaN: not labelled), box centres ``[N, 2]`` and sides
        ``[N]``, in 1-based pixels.

    Raises:
        InputError: not such a file.
    """
    keys = ('imgname', 'part', 'visible', 'center', 'scale')
    reading = refused(f'{path} is not a readable HDF5 file', OSError, remedy=HELP)
    with local_file(path, 'FLIC annotation file', HELP) as local, reading:
        with h5py.File(local, 'r') as f:
            data = {key: f[key][:] for key in keys if key in f}
    missing = [key for key in keys if key not in data]
    source = 'expected an annotation file of pose-hg-train (data/flic/annot)'
    check(not missing, f'{path} lacks {", ".join(missing)}; {source}')
    check(len(data['part']), f'{path} holds no person; {source}')
    axes = zip(keys, ('N', 'N 11 2', 'N 11', 'N 2', 'N'))
    check_shapes(f'{path} (N persons)', **{key: (data[key], part) for key, part in axes})
    joints = np.where(data['visible'][..., None] > 0, data['part'], np.nan)
    names = [name.decode() if isinstance(name, bytes) else str(name) for name in data['imgname']]
    return names, joints, data['center'].astype(np.float64), 200.0 * data['scale']


def read_examples(
    path: str,
    split: str | None,
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Read a split of the original ``examples.mat``.

    Args:
        path: MATLAB file with the struct array ``examples``: ``filepath``, ``coords`` ``[2, 29]``
            (NaN: not labelled), ``torsobox`` (x1, y1, x2, y2), ``imgdims`` (height, width, ...),
            ``istrain``, ``istest``.
        split: ``'train'`` or ``'test'``.

    Returns:
        As :func:`read_hdf5`.

    Raises:
        InputError: not such a file, or ``split`` is missing.
    """
    check(split, f"FlicDataset: {path} holds both splits; set split='train' or split='test'")
    content = read_mat(path, 'examples', 'FLIC annotation file', HELP, squeeze_me=True)
    examples = np.atleast_1d(content['examples'])
    fields = ('filepath', 'coords', 'torsobox', 'imgdims', 'istrain', 'istest')
    missing = [field for field in fields if field not in (examples.dtype.names or ())]
    check(not missing, f'{path}: the struct array examples lacks {", ".join(missing)}; {HELP}')
    entries = [
        dict(
            id=i,
            filepath=str(example['filepath']),
            coords=example['coords'],
            # no torso found: no usable box
            torsobox=example['torsobox'] if example['torsobox'].size else [np.nan] * 4,
            imgdims=np.atleast_1d(example['imgdims'])[:2],
        )
        for i, example in enumerate(examples)
        if np.any(example[f'is{split}'])
    ]
    check(entries, f'{path} has no person with is{split} among {len(examples)}; {HELP}')
    columns = read_columns(path, 'example', entries, EXAMPLE, HELP)
    boxes, heights = columns['torsobox'], columns['imgdims'][:, 0]
    joints = columns['coords'].transpose(0, 2, 1)[:, COLUMNS]
    centers = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, heights / 2], axis=1)
    return columns['filepath'], joints, centers, CROP_SIDE * heights / FRAME_HEIGHT
