"""MLPE's configs against the release's arithmetic: boxes, augmentation, targets, decoding."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmpose.registry import KEYPOINT_CODECS, METRICS, MODELS

import mspose_plugin  # noqa: F401

FLIP = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
C, E, F = 'mlpe_resnest50_256x192', 'mlpe_resnest50_384x288', 'mlpe_resnest101_384x288'
RELEASED = [f'{C}_bilinear_no-enhancement', f'{C}_bilinear', C, f'{C}_kernel1', E, F]
"""The rows of the ablation, a to f."""


@pytest.fixture(scope='module')
def config(repository):
    """Return a function that reads one of MLPE's configs by name."""
    return lambda name: Config.fromfile(repository / f'configs/mlpe/{name}.py')


def sample():
    """Return a person as MMPose's CocoDataset gives it, in the middle of a grey image."""
    keypoints = np.stack([np.linspace(110, 190, 17), np.linspace(75, 225, 17)], -1)
    raw = np.column_stack([keypoints, np.full(17, 2)])
    raw[3, 2] = 1
    return dict(
        img=np.full((300, 300, 3), 100, np.uint8),
        bbox=np.float32([[100, 70, 200, 230]]),
        bbox_score=np.ones(1, np.float32),
        keypoints=keypoints[None].astype(np.float32),
        keypoints_visible=np.ones((1, 17), np.float32),
        flip_indices=FLIP,
        raw_ann_info=dict(keypoints=raw.ravel().tolist()),
        id=1,
        img_id=1,
    )


def test_every_released_row_is_the_released_network(config):
    for name in RELEASED:
        cfg = config(name)
        assert not cfg.model.neck.lateral_skips and cfg.model.head.occluded_in_levels == 'empty'
        assert len(MODELS.build(cfg.model.neck).laterals) == 1
        assert (cfg.train_cfg.max_epochs, cfg.param_scheduler[0].step_size) == (200, 24)
        metric = METRICS.get(cfg.test_evaluator.type)
        assert metric.__name__ == 'RescoredCocoMetric' and cfg.test_evaluator.nms_mode == 'none'


@pytest.mark.parametrize(
    'name, kernels',
    [(C, (15, 11, 9, 7)), (E, (23, 17, 13, 9))],
)
def test_targets_are_those_of_the_releases_blur_kernels(config, name, kernels):
    cfg = config(name)
    width, height = cfg.codec.heatmap_size
    codec = KEYPOINT_CODECS.build(cfg.codec)
    head = MODELS.build(cfg.model.head)
    cell = np.array([width // 3, height // 2])
    drawn = torch.from_numpy(codec.encode(4 * cell[None, None] + 2.0)['heatmaps'][0])
    for sigma, kernel in zip(head.sigmas, kernels):
        assert sigma == pytest.approx(0.3 * ((kernel - 1) / 2 - 1) + 0.8)
        dot = np.zeros((height, width))
        dot[cell[1], cell[0]] = 1
        want = cv2.GaussianBlur(dot, (kernel, kernel), 0)
        want /= want.max()
        ours = head._narrowed(drawn, sigma).numpy()
        # OpenCV takes its kernels of 7 and 9 from a table of rounded values
        assert np.abs(ours - want)[want > 0].max() < (1e-5 if kernel > 9 else 0.03)
        # they end at different distances: at most 3 % of the peak
        assert np.abs(ours - want).max() < 0.03


def test_a_pixel_lies_in_the_releases_cell_and_is_decoded_to_its_middle(config):
    """The release: cell = pixel // 4, pixel = 4 * cell + 2."""
    cfg = config(C).codec
    codec = KEYPOINT_CODECS.build(dict(cfg, refine=None))
    pixels = np.arange(0, 192, 0.5)
    for pixel in pixels[pixels % 4 != 0]:
        heatmap = codec.encode(np.float32([[[pixel, 101.0]]]))['heatmaps']
        found = codec.decode(heatmap)[0][0, 0]
        assert found.tolist() == [4 * (pixel // 4) + 2, 4 * 25 + 2]


def test_boxes_grow_differently_in_width_and_height(config):
    """1.2 x 1.3, then the smaller side is widened to the input's proportions."""
    for loader in ('val_dataloader', 'test_dataloader'):
        pipeline = Compose(config(C)[loader].dataset.pipeline)
        meta = pipeline(sample())['data_samples'].metainfo
        assert meta['input_center'].tolist() == [150, 150]
        assert meta['input_scale'] == pytest.approx([1.3 * 160 * 0.75, 1.3 * 160])
    wide = dict(sample(), bbox=np.float32([[50, 100, 250, 200]]))
    scale = pipeline(wide)['data_samples'].metainfo['input_scale']
    assert scale == pytest.approx([1.2 * 200, 1.2 * 200 / 0.75])


def test_a_person_is_plain_flipped_or_rotated_in_the_releases_shares(config):
    steps = config(C).train_dataloader.dataset.pipeline
    crop = next(i for i, s in enumerate(steps) if s.type == 'BorderedTopdownAffine')
    pipeline, count = Compose(steps[:crop]), 2000
    drawn = [pipeline(sample()) for _ in range(count)]
    flipped = np.array([bool(r.get('flip')) for r in drawn])
    angles = np.array([r['bbox_rotation'][0] for r in drawn])
    rotated = angles != 0
    assert not (flipped & rotated).any()
    assert flipped.mean() == pytest.approx(0.25, abs=0.04)
    assert rotated.mean() == pytest.approx(0.5, abs=0.05)
    assert 40 < np.abs(angles).max() <= 45
    scales = np.array([r['bbox_scale'][0] / (1.2 * 100, 1.3 * 160) for r in drawn])
    assert np.allclose(scales[:, 0], scales[:, 1])
    assert 0.7 <= scales.min() < 0.75 and 1.2 < scales.max() <= 1.25 + 1e-6


def test_a_training_sample_from_end_to_end(config):
    pipeline = Compose(config(C).train_dataloader.dataset.pipeline)
    for _ in range(20):
        data = pipeline(sample())
        labels = data['data_samples'].gt_instance_labels
        heatmaps = data['data_samples'].gt_fields.heatmaps
        assert data['inputs'].shape == (3, 256, 192) and heatmaps.shape == (17, 64, 48)
        drawn = heatmaps.flatten(1).amax(1) > 0
        assert drawn.tolist() == labels.keypoint_weights[0].gt(0).tolist()
        hidden = labels.keypoint_weights[0] * (1 - labels.keypoints_visible_weights[0])
        flipped = data['data_samples'].metainfo.get('flip')
        assert set(hidden.nonzero().flatten().tolist()) <= {4 if flipped else 3}


def test_the_border_becomes_zero(config):
    cfg = config(C)
    pipeline = Compose(cfg.test_dataloader.dataset.pipeline)
    batch = pipeline(dict(sample(), bbox=np.float32([[-300, -300, 40, 40]])))
    inputs = MODELS.build(cfg.model.data_preprocessor)(
        dict(inputs=[batch['inputs']], data_samples=[batch['data_samples']])
    )['inputs']
    inputs = inputs if hasattr(inputs, 'shape') else inputs[0][None]
    # a grey level is 1 / 255; the border is rounded to one
    assert inputs[..., :100, :100].abs().max() < 0.5 / 255 + 1e-4
    assert (inputs[..., -1, -1] * 255).flatten().tolist() == pytest.approx(
        [100 - 122.7717, 100 - 115.9465, 100 - 102.9801], abs=1e-3
    )


def test_flip_testing_is_exact_in_our_variant(config):
    """Mirrored pixels fall into mirrored cells: x -> 191 - x is cell -> 47 - cell."""
    codec = KEYPOINT_CODECS.build(config(f'{C}_skips').codec)
    points = np.random.default_rng(0).uniform(20, 170, (1, 17, 2)).astype(np.float32)
    mirrored = points.copy()
    mirrored[..., 0] = 191 - mirrored[..., 0]
    plain, flipped = (codec.encode(p)['heatmaps'] for p in (points, mirrored))
    assert np.abs(plain - flipped[..., ::-1]).max() < 1e-4
    assert np.abs(codec.decode(plain)[0] - points).max() < 0.1
