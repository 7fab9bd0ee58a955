"""A config to start from, for any set of joints in COCO's format."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from pprint import pformat
from typing import Any

from mspose_plugin.apis.models import project_folder
from mspose_plugin.datasets.inspection import Annotations
from mspose_plugin.datasets.metainfo import metainfo_of
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.files import write_file

BASES = dict(msspose='msspose.py', mlpe='mlpe.py')
"""Model -> its file in ``configs/_base_/own_data``."""
MODELS = dict(
    msspose='model = dict(\n    backbone=dict(num_keypoints=k), head=dict(num_keypoints=k, '
    'loss=dict(skeleton=info)))',
    # the share of COCO's 17 joints that the release counts
    mlpe='model = dict(head=dict(num_keypoints=k, fine_loss=dict(topk=(8 * k + 16) // 17)))',
)
LEAF = '''\
# {joints} joints, {persons} persons in {file}.
_base_ = [{base!r}, {info!r}]
info, k = _base_.dataset_info, len(_base_.dataset_info.keypoint_info)
{model}
train_dataloader = dict(
    {batch}dataset=dict(metainfo=info, ann_file={file!r}, data_prefix=dict(img={images!r})))
val_dataloader = dict(
    dataset=dict(metainfo=info, ann_file={val!r}, data_prefix=dict(img={val_images!r})))
test_dataloader = val_dataloader
'''
BATCHES = dict(msspose=8, mlpe=32)
"""Batch sizes of the bases."""


def write_config(
    path: str,
    model: str,
    annotations: Annotations,
    files: tuple[str, str],
    folders: tuple[str, str],
) -> None:
    """Write a config of ten lines, and beside it the metainfo that it inherits.

    Args:
        path: the config, ``NAME.py``; the metainfo is ``NAME_info.py``.
        model: key of :data:`BASES`.
        annotations: content of the training file.
        files: annotation files for training and validation.
        folders: of their images.

    Raises:
        InputError: the project's configs are not there.
    """
    project = project_folder()
    check(project, 'the project\'s configs are not installed; install the package again')
    assert project
    out = Path(path)
    base = project / 'configs/_base_/own_data' / BASES[model]
    inside = out.resolve().is_relative_to(project.resolve())
    shown = os.path.relpath(base, out.resolve().parent) if inside else base
    info = out.with_name(f'{out.stem}_info.py')
    usable = sum(len(person.labelled) > 0 for person in annotations.persons)
    batch = f'batch_size={usable}, ' if usable < BATCHES[model] else ''
    text = LEAF.format(
        joints=len(annotations.category['keypoints']),
        persons=len(annotations.persons),
        file=files[0],
        info=info.name,
        base=str(shown),
        model=MODELS[model],
        batch=batch,
        images=folders[0],
        val=files[1],
        val_images=folders[1],
    )
    write_file(info, metainfo_text(metainfo_of(annotations.category, out.stem)).encode())
    write_file(out, text.encode())


def metainfo_text(info: Mapping[str, Any]) -> str:
    """Return MMPose's metainfo as a config file with a line for each joint and bone."""
    lines = ['# MMPose\'s metainfo, from the category: correct it where it is wrong.']
    lines.append('dataset_info = dict(')
    for key, value in info.items():
        if isinstance(value, dict):
            lines.append(f'    {key}={{')
            lines += [f'        {k}: {_call(v)},' for k, v in value.items()]
            lines.append('    },')
        else:
            text = pformat(value, width=88, compact=True).replace('\n', '\n    ')
            lines.append(f'    {key}={text},')
    return '\n'.join([*lines, ')', ''])


def _call(entry: Mapping[str, Any]) -> str:
    return f'dict({", ".join(f"{key}={value!r}" for key, value in entry.items())})'
