"""Draw what keypoint masking does to the training images of a config.

Three cells for each person: the network's input, with occlusions, with duplicates. Labelled
keypoints are drawn where they are, on the patches too. The config's own KeypointMasking settings
are used if it has any.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmpose.registry import DATASETS, TRANSFORMS, VISUALIZERS
from mmpose.structures import PoseDataSample

from mspose_plugin.cli import arguments
from mspose_plugin.cli.configs import check_data, load_config, require
from mspose_plugin.cli.output import track
from mspose_plugin.datasets.transforms.bordered_affine import CROPS
from mspose_plugin.utils import picture_grid as grid
from mspose_plugin.utils import untrained
from mspose_plugin.utils.checks import check

KINDS = dict(original=(0.0, 0.0), occlusion=(1.0, 0.0), duplicate=(0.0, 1.0))
"""Probabilities of occlusion and duplicate for each cell."""


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    arguments.add_config(parser)
    arguments.add_grid(parser, num=8, columns=2, size=288)
    parser.add_argument(
        '--split',
        choices=['train', 'val', 'test'],
        default='train',
        help='data and pipeline to use (default: train)',
    )


def draw(args: argparse.Namespace) -> None:
    """Load, mask, draw and save."""
    grid.check_size(args.num, args.columns, len(KINDS) * args.size, args.size)
    cfg = load_config(args.config, args.cfg_options)
    init_default_scope('mmpose')
    check_data(cfg, args.split)
    masking = next(find(cfg.to_dict(), 'KeypointMasking'), dict(type='KeypointMasking'))
    dataset = build_dataset(cfg, args.split)
    visualizer = VISUALIZERS.build(
        dict(
            type='PoseLocalVisualizer',
            name='masking',
            line_width=1,
            radius=max(args.size // 110, 1),
        )
    )
    visualizer.set_dataset_meta(dataset.metainfo)
    np.random.seed(args.seed)
    chosen = np.random.permutation(len(dataset))[: args.num]
    cells = [
        draw_person(dataset[int(i)], masking, visualizer, args.size)
        for i in track(chosen, 'persons', len(chosen))
    ]
    grid.save(cells, args.columns, args.out)


def find(node: Any, kind: str) -> Iterator[dict]:
    """Yield the dictionaries of a config with that ``type``, at any depth."""
    if isinstance(node, dict) and node.get('type') == kind:
        yield node
    children = node.values() if isinstance(node, dict) else node
    if isinstance(node, (dict, list, tuple)):
        for child in children:
            yield from find(child, kind)


def build_dataset(cfg: Config, split: str) -> BaseDataset:
    """Build a data set whose pipelines end with the crop.

    Raises:
        InputError: the config has no such split, or no ``TopdownAffine`` in it.
    """
    require(cfg, f'{split}_dataloader.dataset')
    dataset = cfg[f'{split}_dataloader'].dataset.to_dict()
    check(
        any(next(find(dataset, kind), None) for kind in CROPS),
        f'config {cfg.filename}: no TopdownAffine in {split}_dataloader; keypoint masking is for '
        'top-down data',
    )
    return untrained.built(DATASETS, cut(dataset), cfg, f'{split}_dataloader.dataset')


def cut(node: Any) -> Any:
    """Return a config without the steps that follow the crop in any pipeline."""
    if isinstance(node, dict):
        return {key: cut(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        for i, step in enumerate(node):
            if isinstance(step, dict) and step.get('type') in CROPS:
                return list(node[: i + 1])
        return [cut(item) for item in node]
    return node


def draw_person(results: dict, masking: dict, visualizer: Any, size: int) -> np.ndarray:
    """Draw one person's input, occlusions and duplicates side by side, BGR."""
    height, width = results['img'].shape[:2]
    zoom = size / height
    instances = InstanceData(
        keypoints=(results['transformed_keypoints'] + 0.5) * zoom - 0.5,
        keypoints_visible=results['keypoints_visible'],
    )
    cells: list[np.ndarray] = []
    images: list[np.ndarray] = []
    for kind, (occlusion, duplicate) in KINDS.items():
        step = TRANSFORMS.build(
            {**masking, 'occlusion_prob': occlusion, 'duplicate_prob': duplicate}
        )
        image = cv2.resize(
            step(dict(results))['img'], (round(width * zoom), size), interpolation=cv2.INTER_CUBIC
        )
        sample = PoseDataSample(gt_instances=instances)
        cell = visualizer.add_datasample('', image[..., ::-1].copy(), sample, draw_pred=False)[
            ..., ::-1
        ].copy()
        unchanged = kind != 'original' and np.array_equal(image, images[0])
        images.append(image)
        cell = np.pad(cell, ((20, 0), (0, 2), (0, 0)))  # room for the title
        cv2.putText(
            cell,
            f'{kind}: no room' if unchanged else kind,
            (6, 15),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.45,
            (255, 255, 255),
            1,
            cv2.LINE_AA,
        )
        cells.append(cell)
    return np.pad(np.hstack(cells), ((0, 4), (0, 4), (0, 0)), constant_values=255)
