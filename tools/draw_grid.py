"""Draw predictions on samples of the test set into one picture.

``python tools/draw_grid.py CONFIG CHECKPOINT --out grid.png``. A white cross marks the true place
of a joint that was missed by more than half a head size, where the data set gives one.
"""
import argparse

from mspose_plugin import cli  # adapts the installed releases, so before MMPose

# isort: split
import cv2
import numpy as np
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.fileio import get_file_backend
from mmpose.apis import init_model
from mmpose.registry import DATASETS, VISUALIZERS

from mspose_plugin.errors import InputError


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', required=True, help='picture to write (.png or .jpg)')
    parser.add_argument('--num', type=int, default=24, help='number of persons (default: 24)')
    parser.add_argument('--columns', type=int, default=6, help='persons in a row (default: 6)')
    parser.add_argument('--size', type=int, default=320, help='pixels of a cell (default: 320)')
    parser.add_argument('--seed', type=int, default=0, help='which persons (default: 0)')
    parser.add_argument('--device', default='cpu', help='default: cpu')
    return parser.parse_args()


def main() -> None:
    """Predict, draw and save."""
    args = parse_args()
    cfg = Config.fromfile(args.config)
    cli.check_data(cfg, 'test')
    model = init_model(cfg, args.checkpoint, device=args.device)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    if not 0 < args.num <= len(dataset):
        raise InputError(f'--num {args.num}: the test set has {len(dataset)} persons')
    visualizer = VISUALIZERS.build(
        dict(type='PoseLocalVisualizer', name='grid', radius=args.size // 70,
             line_width=args.size // 110))
    visualizer.set_dataset_meta(dataset.metainfo)
    chosen = np.random.default_rng(args.seed).permutation(len(dataset))[:args.num]
    samples = model.test_step(pseudo_collate([dataset[int(i)] for i in chosen]))
    cells = [_draw(visualizer, sample, args.size) for sample in samples]
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % args.columns)
    rows = [np.hstack(cells[i:i + args.columns]) for i in range(0, len(cells), args.columns)]
    done, picture = cv2.imencode('.' + args.out.rsplit('.', 1)[-1], np.vstack(rows))
    if not done:
        raise InputError(f'--out {args.out}: expected a .png or .jpg file')
    get_file_backend(args.out).put(picture.tobytes(), args.out)


def _draw(visualizer, sample, size: int) -> np.ndarray:
    """Crop a person's box from the image, enlarge it and draw the prediction into it, BGR."""
    center, scale = sample.metainfo['input_center'], sample.metainfo['input_scale']
    zoom = size / float(max(scale))
    shift = size / 2 - zoom * np.asarray(center)
    image = cv2.warpAffine(cv2.imread(sample.metainfo['img_path']),
                           np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]]), (size, size),
                           flags=cv2.INTER_CUBIC, borderValue=(90, 90, 90))
    for instances in (sample.pred_instances, sample.gt_instances):
        instances.keypoints = instances.keypoints * zoom + shift
    pred, gt = sample.pred_instances.keypoints[0], sample.gt_instances.keypoints[0]
    visible = sample.gt_instances.keypoints_visible.reshape(-1) > 0
    picture = visualizer.add_datasample('', image[..., ::-1].copy(), sample, draw_gt=False,
                                        kpt_thr=0)[..., ::-1].copy()
    if 'head_size' in sample.gt_instances:
        missed = np.linalg.norm(pred - gt, axis=-1) > 0.5 * zoom * float(
            np.ravel(sample.gt_instances.head_size)[0])
        for x, y in gt[visible & missed]:
            cv2.drawMarker(picture, (round(float(x)), round(float(y))), (255, 255, 255),
                           cv2.MARKER_TILTED_CROSS, size // 20, 2, cv2.LINE_AA)
    return picture


if __name__ == '__main__':
    cli.run(main)
