"""Collect annotated people of MPII and COCO in one folder of MPII's format, to test on.

What is written:
  images/                           the images
  annotations/{mpii,coco,all}.json  the people of either file and of both

A person of COCO has those of MPII's joints that COCO has, and the longer side of its box as MPII's
scale (times 200 px). There are no head boxes: evaluate with BoxPCK. The plans
tools/plans/photographs_*.py test on this folder.

Example:
  python tools/make_photographs.py --mpii mpii_val.json --coco person_keypoints_val2017.json \
      --out data/photographs
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from mmpose.datasets.datasets import CocoDataset
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mspose_plugin.cli import arguments
from mspose_plugin.cli.running import run
from mspose_plugin.datasets.mpii import ZeroBasedMpiiDataset
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.files import write_json

TYPES = dict(mpii=ZeroBasedMpiiDataset, coco=CocoDataset)
SHIFT = 15 / 200
"""Of its scale, by which MPII's readers move a person's centre down."""


def people_of(kind: str, file: str) -> list[dict]:
    """Return the people of a file with a joint of MPII's as MPII's entries.

    Args:
        kind: ``'mpii'`` or ``'coco'``.
        file: the annotation file; images lie beside it.

    Returns:
        The entries, with the whole path of the image.
    """
    folder = str(Path(file).resolve().parent)
    data = TYPES[kind](ann_file=file, data_prefix=dict(img=folder), test_mode=True)
    people = [_entry(person, data.metainfo) for person in data.load_data_list()]
    return [person for person in people if any(person['joints_vis'])]


def _entry(person: dict, metainfo: dict) -> dict:
    """Return a person of a data set as MPII's files have it, 1-based."""
    wanted = parse_pose_metainfo(ZeroBasedMpiiDataset.METAINFO)['keypoint_name2id']
    joints, visible = np.full((len(wanted), 2), -1.0), np.zeros(len(wanted), int)
    given = np.asarray(person['keypoints_visible']).reshape(len(metainfo['keypoint_id2name']), -1)
    for k, name in metainfo['keypoint_id2name'].items():
        if name in wanted and given[k, 0] > 0:
            joints[wanted[name]] = np.round(person['keypoints'][0][k] + 1, 4)
            visible[wanted[name]] = 1
    x1, y1, x2, y2 = (float(v) for v in np.ravel(person['bbox']))
    side = max(x2 - x1, y2 - y1)
    return dict(
        joints_vis=visible.tolist(),
        joints=joints.tolist(),
        image=person['img_path'],
        scale=round(side / 200, 6),
        center=[round(0.5 * (x1 + x2) + 1, 4), round(0.5 * (y1 + y2) + 1 - SHIFT * side, 4)],
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('--mpii', metavar='FILE', help='annotations in MPII\'s format')
    parser.add_argument('--coco', metavar='FILE', help='annotations in COCO\'s format')
    text = 'folder to create; the images lie beside the files'
    parser.add_argument('--out', required=True, type=arguments.writable_folder, help=text)


def main(args: argparse.Namespace) -> None:
    """Write the folder."""
    files = {kind: getattr(args, kind) for kind in TYPES if getattr(args, kind)}
    check(files, 'nothing to collect; give --mpii or --coco')
    out = Path(args.out)
    check(not out.exists(), f'{out}: exists already; remove it, or give another --out')
    sets = {kind: people_of(kind, file) for kind, file in files.items()}
    sets['all'] = [person for people in sets.values() for person in people]
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as temporary:
        root = Path(temporary) / out.name
        (root / 'images').mkdir(parents=True)
        for image in {person['image'] for person in sets['all']}:
            copy = root / 'images' / Path(image).name
            check(not copy.exists(), f'{image}: another image has this name; rename one of them')
            shutil.copyfile(image, copy)
        for kind, people in sets.items():
            entries = [{**person, 'image': Path(person['image']).name} for person in people]
            write_json(root / f'annotations/{kind}.json', entries)
        root.rename(out)
    print(f'{out}: ' + ', '.join(f'{len(people)} of {kind}' for kind, people in sets.items()))


if __name__ == '__main__':
    run(sys.modules[__name__])
