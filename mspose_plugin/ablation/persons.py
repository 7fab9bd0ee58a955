"""What sets the persons of a test set apart: image, crowding, hidden joints, size."""

from __future__ import annotations

import os.path as osp
from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.config import Config

from mspose_plugin.evaluation.metrics import pack_bits, unpack_bits
from mspose_plugin.utils.files import read_json

CROWDED = 0.1
"""Joints of others in a person's box, per joint of its own, from which on it is in a crowd: the
lowest bound of CrowdPose's levels (Li et al., CVPR 2019)."""


def describe(persons_file: str, cfg: Config) -> dict[str, Any]:
    """Add to an evaluator's ``persons_file`` what the annotations say of the persons.

    Args:
        persons_file: the file.
        cfg: config of the test, whose data set is MPII's or COCO's.

    Returns:
        Its content with ``images`` (a number for each image), ``hidden`` (bits, joints that are
        covered), ``crowding`` and ``size`` (pixels, of the box), as far as the annotations have
        them.
    """
    content = read_json(persons_file, 'persons_file', 'run the test again')
    dataset = cfg.test_dataloader.dataset
    path = osp.join(dataset.get('data_root') or '', dataset.get('ann_file') or '')
    if not path.endswith('.json'):
        return content
    annotations: Any = read_json(path, 'annotation file', 'check ann_file')
    known = _coco(annotations) if isinstance(annotations, dict) else _mpii(annotations)
    found = [known[i] for i in content['ids']]
    numbers: dict[Any, int] = {}
    content['images'] = [numbers.setdefault(p['image'], len(numbers)) for p in found]
    for key in ('crowding', 'size'):
        if all(key in person for person in found):
            content[key] = [round(float(person[key]), 3) for person in found]
    if all('hidden' in person for person in found):
        content['hidden'] = pack_bits(np.array([person['hidden'] for person in found], bool))
    return content


def _mpii(annotations: list[dict]) -> dict[int, dict]:
    """Synthetic people say what is hidden and who crowds; MPII itself does not."""
    return {i: {**person, 'size': 200 * person['scale']} for i, person in enumerate(annotations)}


def _coco(annotations: dict) -> dict[int, dict]:
    images: dict[int, list[dict]] = {}
    for person in annotations['annotations']:
        images.setdefault(person['image_id'], []).append(person)
    known = {}
    for people in images.values():
        joints = [np.reshape(person['keypoints'], (-1, 3)) for person in people]
        for i, (person, own) in enumerate(zip(people, joints)):
            x, y, w, h = person['bbox']
            others = np.concatenate([own[:0], *joints[:i], *joints[i + 1 :]])
            others = others[others[:, 2] > 0, :2]
            covered = ((others >= (x, y)) & (others <= (x + w, y + h))).all(axis=1).sum()
            known[person['id']] = dict(
                image=person['image_id'],
                hidden=own[:, 2] == 1,
                crowding=covered / max(int((own[:, 2] > 0).sum()), 1),
                size=float(np.sqrt(w * h)),
            )
    return known


def parts_of(persons: Mapping[str, Any]) -> dict[str, dict[str, np.ndarray]]:
    """Split the scored, labelled joints of all persons.

    Args:
        persons: content of ``persons.json``.

    Returns:
        Name of a split -> name of a part -> bool ``[N, K]``; the parts of a split add up to all.
    """
    shape = len(persons['ids']), len(persons['joints'])
    scored = np.isin(np.arange(shape[1]), persons['scored'])
    everything = unpack_bits(persons['labelled'], shape) & scored
    splits = dict(all=dict(all=everything))
    if 'crowding' in persons:
        crowded = np.array(persons['crowding'])[:, None] >= CROWDED
        splits['crowding'] = dict(alone=everything & ~crowded, crowded=everything & crowded)
    if 'hidden' in persons:
        hidden = unpack_bits(persons['hidden'], shape)
        splits['occlusion'] = dict(visible=everything & ~hidden, hidden=everything & hidden)
    if 'size' in persons:
        size = np.array(persons['size'])
        third = np.searchsorted(np.quantile(size, (1 / 3, 2 / 3)), size)[:, None]
        splits['scale'] = {
            name: everything & (third == i) for i, name in enumerate(('small', 'medium', 'large'))
        }
    return splits
