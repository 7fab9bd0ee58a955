"""Show what is in a keypoint file of COCO's format, repair it, begin a config with it.

Any joints, any skeleton. Exit status 0: a training would start; 1: it would fail, the rows marked
"error" say why.

Examples:
  mspose check-data horses/train.json --images horses/images --picture horses.png
  mspose check-data horses/train.json --repair horses/train_repaired.json
  mspose check-data horses/train.json --val horses/val.json --images horses/images --config horse.py
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mmpose.registry import DATASETS

from mspose_plugin.cli import arguments
from mspose_plugin.cli.output import show_table, track
from mspose_plugin.cli.own_config import BASES, write_config
from mspose_plugin.datasets.inspection import Annotations, Finding
from mspose_plugin.datasets.inspection_rules import ERROR, WARNING
from mspose_plugin.datasets.metainfo import (
    counts_from_zero,
    metainfo_of,
    mirror_partners,
    without_partner,
)
from mspose_plugin.datasets.transforms.loading import LoadImageChecked
from mspose_plugin.utils import picture_grid as grid
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.errors import InputError
from mspose_plugin.utils.files import check_folder, read_json, write_json

REMEDY = 'give a keypoint annotation file in COCO\'s format'
READERS = 8
"""Threads that decode images."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add = parser.add_argument
    add('file', metavar='FILE', help='annotation file in COCO\'s format')
    add('--images', metavar='DIR', help='folder of the images: reads them all')
    add('--val', metavar='FILE', help='annotation file for validation, looked over as well')
    add('--val-images', metavar='DIR', help='folder of its images (default: that of --images)')
    add(
        '--repair',
        metavar='FILE',
        type=arguments.writable_file('.json'),
        help='write the annotations here, with everything mended that has one right answer',
    )
    add(
        '--picture',
        metavar='FILE',
        type=arguments.writable_file(*grid.ENDINGS),
        help='draw persons with their annotations into this picture',
    )
    num = arguments.positive_int
    add('--num', type=num, default=24, help='number of persons in it (default: 24)')
    arguments.add_seed(parser, 'which persons')
    add(
        '--config',
        metavar='FILE',
        type=arguments.writable_file('.py'),
        help='write a config to start from, and beside it FILE_info.py: names, flip pairs, sigmas '
        'and bones; needs --images and --val',
    )
    add('--model', choices=list(BASES), default='msspose', help='for --config (default: msspose)')


def main(args: argparse.Namespace) -> None:
    """Look the files over, and write what was asked for."""
    val_images = args.val_images or args.images
    for folder in filter(None, (args.images, val_images)):
        check_folder(folder, 'image folder', 'check the path')
    check(args.images or not args.picture, '--picture needs --images, the folder of the images')
    needed = args.images and args.val
    check(needed or not args.config, '--config needs --images and --val, the file for validation')
    for source in filter(None, (args.file, args.val)):
        same = args.repair and os.path.realpath(args.repair) == os.path.realpath(source)
        check(not same, f'--repair {args.repair}: an input; give another name')
    file, annotations = args.file, read(args.file)
    val = read(args.val) if args.val else None
    same = val is None or val.category['keypoints'] == annotations.category['keypoints']
    check(same, f'{args.val}: its joints are not those of {args.file}')
    failed = report(args.file, annotations, args.images)
    if args.repair:
        print()
        for what, count in annotations.repair() or [('nothing to repair', 0)]:
            print(f'repaired: {what} ({count})' if count else what)
        write_json(args.repair, annotations.content)
        file = args.repair
        failed = report(file, annotations, args.images)
    if val:
        print()
        failed |= report(args.val, val, val_images)
        show_overlap(annotations, val)
    if args.picture:
        # imported here: it takes a second that nothing else needs
        from mspose_plugin.cli.drawing import draw_persons

        draw_persons(annotations, args.images, args.picture, args.num, args.seed)
        print(f'\n{args.picture}: written')
    if args.config and not failed:
        folders = args.images, val_images
        write_config(args.config, args.model, annotations, (file, args.val), folders)
        print(f'\n{args.config}: written; next: mspose train {args.config}')
    if failed:
        print('\na training would fail; correct the errors', end='')
        print(', or see what --repair mends' if not args.repair else '')
        sys.exit(1)


def read(path: str) -> Annotations:
    """Read a file.

    Args:
        path: the file.

    Raises:
        InputError: it cannot be read, or is no keypoint file of COCO's format.
    """
    content = read_json(path, 'annotation file', REMEDY)
    try:
        annotations = Annotations(content)
        metainfo_of(annotations.category, Path(path).stem)
    except InputError as e:
        raise InputError(f'annotation file {path!r}: {e}') from e
    return annotations


def report(path: str, annotations: Annotations, images: str | None) -> bool:
    """Print what is in a file and what is wrong with it.

    Args:
        path: of the file.
        annotations: its content.
        images: folder of the images; None to leave them alone.

    Returns:
        Whether a training or an evaluation would fail.
    """
    content, visibility = annotations.content, annotations.visibility()
    category, labelled = annotations.category, int(visibility[:, 1:].sum())
    print(
        f'{path}: {len(annotations.persons)} persons ({category.get("name", "no name")}) in '
        f'{len(content["images"])} images, {len(visibility)} joints, {labelled} labelled\n'
    )
    info = metainfo_of(category, Path(path).stem)
    header = ['joint', 'mirrored', 'visible', 'occluded', 'not labelled', 'sigma']
    joints = info['keypoint_info'].values()
    rows = [
        [j['name'], j['swap'] or '-', *map(str, counts[::-1]), f'{sigma:g}']
        for j, counts, sigma in zip(joints, visibility[:, [0, 1, 2]], info['sigmas'])
    ]
    show_table(header, rows, words=2)
    findings = [*annotations.findings(), *name_findings(category)]
    findings += image_findings(content['images'], images) if images else []
    fault = training_fault(path, info) if not any(f.level == ERROR for f in findings) else None
    if fault:
        findings.append(Finding(fault, ERROR, 1))
    print()
    if findings:
        header = ['', 'what', 'first', 'how often', 'with --repair']
        order = sorted(findings, key=lambda f: (f.level != ERROR, f.level != WARNING))
        rows = [[f.level, f.what, f.first, str(f.times), f.repair or '-'] for f in order]
        show_table(header, rows, words=3)
    else:
        print('nothing is wrong')
    return any(f.level == ERROR for f in findings)


def name_findings(category: dict[str, Any]) -> Iterator[Finding]:
    """Yield what is odd about names and bones."""
    names = category['keypoints']
    alone = without_partner(names)
    if alone:
        yield Finding('joint of one side without the other', WARNING, len(alone), alone[0])
    if not any(p != k for k, p in enumerate(mirror_partners(names))):
        text = 'no joint has a left and a right: mirrored images keep all names'
        yield Finding(text, 'note', 1)
    if not category.get('skeleton'):
        yield Finding('no skeleton: each joint is a group of its own', 'note', 1)
    elif counts_from_zero(category):
        yield Finding('skeleton counts from 0 (COCO: from 1), read so', 'note', 1)


def image_findings(images: Sequence[dict[str, Any]], folder: str) -> Iterator[Finding]:
    """Decode all images as the training will; yield what does not fit.

    Args:
        images: entries of the file.
        folder: where the images are.
    """
    loader = LoadImageChecked()

    def look(image: dict[str, Any]) -> str | None:
        path = os.path.join(folder, str(image.get('file_name')))
        if not os.path.isfile(path):
            return 'image file is missing'
        try:
            height, width = loader.read(path).shape[:2]
        except InputError:
            return 'image file cannot be read'
        stated = image.get('width'), image.get('height')
        return None if stated == (width, height) else 'image of another size than stated'

    found: dict[str, list[str]] = {}
    with ThreadPoolExecutor(READERS) as pool:
        seen = zip(images, track(pool.map(look, images), 'images', len(images)))
        for image, fault in seen:
            if fault:
                found.setdefault(fault, []).append(str(image.get('file_name')))
    for fault, names in found.items():
        yield Finding(fault, ERROR, len(names), names[0])


def training_fault(path: str, info: dict[str, Any]) -> str | None:
    """Return why the data set would refuse the file for training, None if it would not."""
    logging.disable(logging.WARNING)  # what it leaves out, findings say
    try:
        DATASETS.build(dict(type='mmpose.CocoDataset', ann_file=path, metainfo=info, pipeline=[]))
    except InputError as e:
        return str(e)
    finally:
        logging.disable(logging.NOTSET)
    return None


def show_overlap(train: Annotations, val: Annotations) -> None:
    """Warn of images that are in both files."""
    names = [{i.get('file_name') for i in a.content['images']} for a in (train, val)]
    both = sorted(map(str, names[0] & names[1]))
    if both:
        print(f'\nwarning: {len(both)} images are in both files, the first is {both[0]}')
