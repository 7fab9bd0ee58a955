"""A small data set with joints of its own: drawn people, of whom six joints have other names."""

from __future__ import annotations

import json
from pathlib import Path

from mspose_plugin.synthetic import Recipe, write_dataset

JOINTS = {
    'Muzzle': 0,
    'LShoulder': 5,
    'RShoulder': 6,
    'hip_left': 11,
    'hip_right': 12,
    'lpaw': 15,
    'rpaw': 16,
}
"""Name -> the joint of COCO that it is drawn as."""
BONES = [[2, 4], [3, 5], [4, 6], [5, 7], [4, 5]]


def write_own_set(folder: Path, train: int = 5, val: int = 3) -> Path:
    """Write ``train.json`` and ``val.json`` with ``images/``.

    Args:
        folder: where to.
        train: images of the training set. Defaults to 5.
        val: images of the other. Defaults to 3.

    Returns:
        ``folder``.
    """
    write_dataset(Recipe(layout='coco', train=train, val=val, seed=1, size=(160, 128)), folder)
    (folder / 'images').mkdir()
    for split in ('train', 'val'):
        for image in (folder / f'{split}2017').iterdir():
            image.rename(folder / 'images' / image.name)
        file = folder / f'annotations/person_keypoints_{split}2017.json'
        content = json.loads(file.read_text())
        content['categories'] = [dict(id=7, name='horse', keypoints=list(JOINTS), skeleton=BONES)]
        for ann in content['annotations']:
            old = ann['keypoints']
            new = [v for k in JOINTS.values() for v in old[3 * k : 3 * k + 3]]
            ann.update(keypoints=new, category_id=7, num_keypoints=sum(v > 0 for v in new[2::3]))
        (folder / f'{split}.json').write_text(json.dumps(content))
    return folder
