"""Draw predictions on samples of the test set into one picture.

``python tools/draw_grid.py CONFIG CHECKPOINT --out grid.png``. A white cross marks the true place
of a joint that was missed by more than half a head size, where the data set gives one.
"""

import argparse

from mspose_plugin.cli import common as cli  # adapts the installed releases, so before MMPose

# isort: split
import cv2
import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmpose.apis import init_model
from mmpose.registry import DATASETS, VISUALIZERS

from mspose_plugin.datasets.transforms.loading import LoadImageChecked, to_bgr
from mspose_plugin.utils import picture_grid as grid
from mspose_plugin.utils import untrained
from mspose_plugin.utils.errors import InputError

BATCH = 32


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = cli.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--out',
        required=True,
        type=cli.writable_file(*grid.ENDINGS),
        help='picture to write (.png or .jpg)',
    )
    parser.add_argument(
        '--num', type=cli.positive_int, default=24, help='number of persons (default: 24)'
    )
    parser.add_argument(
        '--columns', type=cli.positive_int, default=6, help='persons in a row (default: 6)'
    )
    parser.add_argument(
        '--size',
        type=cli.whole_number(64, 2048),
        default=320,
        help='pixels of a cell (default: 320)',
    )
    parser.add_argument('--seed', type=cli.seed, default=0, help='which persons (default: 0)')
    parser.add_argument('--device', type=cli.device, default='cpu', help='default: cpu')
    cli.add_config_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Predict, draw and save."""
    args = parse_args()
    grid.check_size(args.num, args.columns, args.size, args.size)
    cfg = cli.load_config(args)
    untrained.check(cfg)
    cli.require(cfg, 'test_dataloader.dataset')
    cli.check_data(cfg, 'test')
    model = init_model(cfg, args.checkpoint, device=args.device)
    dataset = untrained.built(DATASETS, cfg.test_dataloader.dataset, cfg, 'the test data set')
    if args.num > len(dataset):
        raise InputError(f'--num {args.num}: the test set has {len(dataset)} persons')
    visualizer = VISUALIZERS.build(
        dict(
            type='PoseLocalVisualizer',
            name='grid',
            radius=max(args.size // 70, 1),
            line_width=max(args.size // 110, 1),
        )
    )
    visualizer.set_dataset_meta(dataset.metainfo)
    chosen = np.random.default_rng(args.seed).permutation(len(dataset))[: args.num]
    cells = []
    for start in range(0, args.num, BATCH):
        batch = pseudo_collate([dataset[int(i)] for i in chosen[start : start + BATCH]])
        if 'input_center' not in batch['data_samples'][0].metainfo:
            raise InputError(
                f'config {args.config}: its test pipeline gives no input_center; '
                'expected a top-down config with PackPoseInputs'
            )
        with torch.no_grad():
            samples = model.test_step(batch)
        cells += [_draw(visualizer, sample, args.size) for sample in samples]
    grid.save(cells, args.columns, args.out)


def _draw(visualizer, sample, size: int) -> np.ndarray:
    """Crop a person's box from the image, enlarge it and draw the prediction into it, BGR."""
    center, scale = sample.metainfo['input_center'], sample.metainfo['input_scale']
    zoom = size / float(max(scale))
    shift = size / 2 - zoom * np.asarray(center)
    image = cv2.warpAffine(
        to_bgr(LoadImageChecked().read(sample.metainfo['img_path'])),
        np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]]),
        (size, size),
        flags=cv2.INTER_CUBIC,
        borderValue=(90, 90, 90),
    )
    for instances in (sample.pred_instances, sample.gt_instances):
        instances.keypoints = instances.keypoints * zoom + shift
    pred, gt = sample.pred_instances.keypoints[0], sample.gt_instances.keypoints[0]
    visible = sample.gt_instances.keypoints_visible.reshape(-1) > 0
    picture = visualizer.add_datasample(
        '', image[..., ::-1].copy(), sample, draw_gt=False, kpt_thr=0
    )[..., ::-1].copy()
    if 'head_size' in sample.gt_instances:
        missed = np.linalg.norm(pred - gt, axis=-1) > 0.5 * zoom * float(
            np.ravel(sample.gt_instances.head_size)[0]
        )
        for x, y in gt[visible & missed]:
            cv2.drawMarker(
                picture,
                (round(float(x)), round(float(y))),
                (255, 255, 255),
                cv2.MARKER_TILTED_CROSS,
                size // 20,
                2,
                cv2.LINE_AA,
            )
    return picture


if __name__ == '__main__':
    cli.run(main)
