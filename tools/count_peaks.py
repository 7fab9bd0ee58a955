"""Count heatmaps with a second strong peak before and after the regression network.

``python tools/count_peaks.py CONFIG CHECKPOINT``: the effect that MSSPose's Fig. 4 shows (§3.2),
as a number, on the test set with keypoints occluded and duplicated by ``KeypointMasking``.
A peak is strong (ours) when it is a local maximum of at least ``--strong`` times the map's largest
value, ``--distance`` heatmap pixels or more away from every larger one that counts.
"""

import argparse
import json

from mspose_plugin.cli import common as cli  # adapts the installed releases, so before MMPose

# isort: split
import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dataset import pseudo_collate
from mmengine.fileio import get_file_backend
from mmengine.runner import set_random_seed
from mmpose.apis import init_model
from mmpose.registry import DATASETS
from rich.progress import track
from torch import Tensor

from mspose_plugin.utils import untrained
from mspose_plugin.utils.errors import InputError


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


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = cli.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config of a model with an MSRHead')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--strong', type=cli.number(0, 1), default=0.5, help='default: 0.5')
    parser.add_argument('--distance', type=cli.whole_number(1, 64), default=3, help='default: 3')
    parser.add_argument('--batch-size', type=cli.positive_int, default=32, help='default: 32')
    parser.add_argument('--seed', type=cli.seed, default=0, help='of the masking (default: 0)')
    parser.add_argument('--device', type=cli.device, default='cpu', help='default: cpu')
    parser.add_argument(
        '--out', type=cli.writable_file('.json'), help='write the counts to this .json file'
    )
    cli.add_config_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Predict on the masked test set and count."""
    args = parse_args()
    cfg = cli.load_config(args)
    untrained.check(cfg)
    cli.require(cfg, 'model.test_cfg', 'test_dataloader.dataset.pipeline')
    pipeline = cfg.test_dataloader.dataset.pipeline
    crop = next((i for i, step in enumerate(pipeline) if step.get('type') == 'TopdownAffine'), None)
    if crop is None:
        raise InputError(
            f'config {args.config}: no TopdownAffine in '
            'test_dataloader.dataset.pipeline; keypoint masking is for top-down data'
        )
    pipeline.insert(crop + 1, dict(type='KeypointMasking', occlusion_prob=1.0, duplicate_prob=1.0))
    cfg.model.test_cfg.update(output_heatmaps=True, flip_test=False)
    cli.check_data(cfg, 'test')
    model = init_model(cfg, args.checkpoint, device=args.device)
    if not getattr(model.head, 'refine', False):
        raise InputError(
            f'{args.config}: model.head is {type(model.head).__name__}, which has no '
            'regression network to compare with; use a config with an MSRHead'
        )
    dataset = untrained.built(DATASETS, cfg.test_dataloader.dataset, cfg, 'the test data set')
    set_random_seed(args.seed)
    counts = np.zeros(2, int)
    maps = 0
    for start in track(range(0, len(dataset), args.batch_size), description='predicting'):
        chosen = range(start, min(start + args.batch_size, len(dataset)))
        with torch.no_grad():
            samples = model.test_step(pseudo_collate([dataset[i] for i in chosen]))
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
        get_file_backend(args.out).put_text(json.dumps(result, indent=2) + '\n', args.out)


if __name__ == '__main__':
    cli.run(main)
