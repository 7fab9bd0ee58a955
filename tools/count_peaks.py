"""Count heatmaps with a second strong peak before and after the regression network.

The effect that MSSPose's Fig. 4 shows (§3.2), as a number, on the test set with keypoints occluded
and duplicated by KeypointMasking. A peak is strong (ours) when it is a local maximum of at least
--strong times the map's largest value, --distance heatmap pixels or more away from every larger
one that counts.
"""

import argparse
import sys

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.runner import set_random_seed
from torch import Tensor

from mspose_plugin.cli import arguments
from mspose_plugin.cli.configs import load_config, require
from mspose_plugin.cli.predicting import load, predict
from mspose_plugin.cli.running import run
from mspose_plugin.datasets.transforms.bordered_affine import CROPS
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.files import write_json


def second_peaks(heatmaps: Tensor, strong: float = 0.5, distance: int = 3) -> Tensor:
    """Tell which heatmaps have more than one strong peak.

    Args:
        heatmaps: ``[..., H, W]``.
        strong: least height, as a fraction of the map's maximum. Defaults to 0.5.
        distance: pixels that separate two peaks. Defaults to 3.

    Returns:
        Bool ``[...]``; False for a map without a positive value.
    """
    maps = heatmaps.reshape(-1, 1, *heatmaps.shape[-2:])
    size = 2 * distance - 1
    summit = F.max_pool2d(maps, size, stride=1, padding=size // 2)
    largest = maps.amax((-2, -1), keepdim=True)
    peaks = (maps == summit) & (maps >= strong * largest) & (maps > 0)
    return (peaks.sum((-3, -2, -1)) > 1).reshape(heatmaps.shape[:-2])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    arguments.add_config(parser, help='config of a model with an MSRHead')
    arguments.add_checkpoint(parser)
    add = parser.add_argument
    add('--strong', type=arguments.number(0, 1), default=0.5, help='default: 0.5')
    add('--distance', type=arguments.whole_number(1, 64), default=3, help='default: 3')
    add('--batch-size', type=arguments.positive_int, default=32, help='default: 32')
    arguments.add_seed(parser, 'of the masking')
    arguments.add_device(parser)
    arguments.add_out(parser, ('.json',), 'the counts')


def main(args: argparse.Namespace) -> None:
    """Predict on the masked test set and count."""
    cfg = load_config(args.config, args.cfg_options)
    require(cfg, 'model.test_cfg', 'test_dataloader.dataset.pipeline')
    pipeline = cfg.test_dataloader.dataset.pipeline
    crop = next((i for i, step in enumerate(pipeline) if step.get('type') in CROPS), None)
    check(
        crop is not None,
        f'config {args.config}: no TopdownAffine in test_dataloader.dataset.pipeline; keypoint '
        'masking is for top-down data',
    )
    pipeline.insert(crop + 1, dict(type='KeypointMasking', occlusion_prob=1.0, duplicate_prob=1.0))
    cfg.model.test_cfg.update(output_heatmaps=True, flip_test=False)
    model, dataset = load(cfg, args.checkpoint, args.device)
    check(
        getattr(model.head, 'refine', False),
        f'{args.config}: model.head is {type(model.head).__name__}, which has no regression '
        'network to compare with; use a config with an MSRHead',
    )
    set_random_seed(args.seed)
    counts = np.zeros(2, int)
    maps = 0
    for samples in predict(model, dataset, range(len(dataset)), args.batch_size):
        labelled = torch.stack(
            [torch.as_tensor(s.gt_instances.keypoints_visible).reshape(-1) > 0 for s in samples]
        )
        maps += int(labelled.sum())
        for i, name in enumerate(('mss_heatmaps', 'heatmaps')):
            heatmaps = torch.stack([s.pred_fields.get(name) for s in samples]).cpu()
            counts[i] += int((second_peaks(heatmaps, args.strong, args.distance) & labelled).sum())
    result = dict(
        persons=len(dataset),
        labelled_maps=maps,
        before=int(counts[0]),
        after=int(counts[1]),
        strong=args.strong,
        distance=args.distance,
        seed=args.seed,
        config=args.config,
    )
    print(
        f'{maps} maps of {len(dataset)} persons with occluded and duplicated keypoints: '
        f'{counts[0]} have a second strong peak before the regression, {counts[1]} after'
    )
    if args.out:
        write_json(args.out, result, indent=2)


if __name__ == '__main__':
    run(sys.modules[__name__])
