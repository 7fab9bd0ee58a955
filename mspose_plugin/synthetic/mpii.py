"""Scenes as MPII: json annotations, 1-based, and .mat files of head boxes and of the release."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mspose_plugin.synthetic.body import INDEX
from mspose_plugin.synthetic.layout import Layout, Records, save_json, save_mat
from mspose_plugin.synthetic.scene import Scene
from mspose_plugin.utils.matlab import cell_array, struct_array


class MpiiLayout(Layout):
    """MPII as MMPose's `MpiiDataset` reads it: one annotated person per image, 1-based pixels."""

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
        """Return `images/<integer>.jpg`; `MpiiDataset` takes the stem for the image's number."""
        return f'images/{(split != "train") * 100_000_000 + index + 1:09d}.jpg'

    def annotate(
        self, scene: Scene, split: str, index: int, rng: np.random.Generator
    ) -> dict[str, Any]:
        """Return joints, head box, centre and scale of the main person."""
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
            'head_box': head_box(joints[9], joints[8], person.head_length).tolist(),
        }

    def finish(self, root: Path, records: dict[str, Records]) -> None:
        """Write MMPose's files of MPII and the part of MPII's release that a submission needs.

        The test set is that of validation without its joints.
        """
        folder = root / 'annotations'
        folder.mkdir()
        val = records['val']
        splits = {**records, 'trainval': [*records['train'], *val]}
        for split, people in splits.items():
            entries = [{k: v for k, v in p.items() if k != 'head_box'} for p in people]
            save_json(folder / f'mpii_{split}.json', entries)
        save_json(
            folder / 'mpii_test.json',
            [{key: p[key] for key in ('image', 'center', 'scale')} for p in val],
        )
        self._save_release(folder / 'mpii_human_pose_v1_u12_1.mat', records)
        missing = 1 - np.array([p['joints_vis'] for p in val], np.uint8).reshape(-1, 16)
        joints = np.array([p['joints'] for p in val]).reshape(-1, 16, 2)
        joints[missing == 1] = 0.0
        boxes = np.array([p['head_box'] for p in val]).reshape(-1, 2, 2)
        names = np.empty((1, 16), object)
        names[0] = self.short
        save_mat(
            folder / 'mpii_gt_val.mat',
            {
                'pos_gt_src': joints.transpose(1, 2, 0),
                'headboxes_src': boxes.transpose(1, 2, 0),
                'jnt_missing': missing.T,
                'dataset_joints': names,
            },
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
        save_mat(path, {'RELEASE': release})


def head_box(top: np.ndarray, neck: np.ndarray, length: float) -> np.ndarray:
    """Return the upright box of a head as MPII annotates it.

    The head is a rectangle of `length` by 0.75 `length` turned like the line from neck to top;
    its bounding box is normalised to MPII's diagonal of 1.25 `length`.

    Args:
        top: Head top [2].
        neck: Upper neck [2].
        length: Head length, not foreshortened, in pixels.

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
