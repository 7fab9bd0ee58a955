"""The stand-in for mmcv's compiled operators, against brute force and torchvision."""

import sys
from pathlib import Path

import mmdet
import numpy as np
import pytest
import torch
from mmcv.ops import RoIAlign, deform_conv2d, nms, roi_align, sigmoid_focal_loss
from mmcv.ops.multi_scale_deform_attn import (
    MultiScaleDeformableAttnFunction,
    multi_scale_deformable_attn_pytorch,
)
from mmdet.apis import inference_detector, init_detector
from mmengine.config import Config
from mmengine.utils.dl_utils import mmcv_full_available

from mspose_plugin.utils.mmcv_ops import Operators, UnavailableOperatorError

pytestmark = pytest.mark.skipif(
    not isinstance(sys.modules['mmcv._ext'], Operators), reason='the full mmcv is installed'
)


def test_it_is_no_full_mmcv():
    assert not mmcv_full_available()
    with pytest.raises(AttributeError):
        sys.modules['mmcv._ext'].__path__  # noqa: B018


def test_nms():
    boxes = torch.tensor([[0.0, 0, 9, 9], [0, 0, 9, 8], [20, 20, 29, 29]])
    kept, indices = nms(boxes, torch.tensor([0.5, 0.9, 0.1]), 0.5)
    assert indices.tolist() == [1, 2] and torch.equal(kept[:, 4], torch.tensor([0.9, 0.1]))
    _, indices = nms(boxes.numpy(), np.array([0.5, 0.9, 0.1], np.float32), 0.5, offset=1)
    assert indices.tolist() == [1, 2]


def test_others_say_that_they_are_missing():
    one = torch.ones(1, 1)
    with pytest.raises(UnavailableOperatorError, match="'sigmoid_focal_loss_forward'.*full mmcv"):
        sigmoid_focal_loss(one, one[0].long())
    with pytest.raises(UnavailableOperatorError, match='roi_align with pool_mode="max"'):
        RoIAlign((2, 2), pool_mode='max')(torch.ones(1, 1, 8, 8), torch.tensor([[0.0, 0, 0, 4, 4]]))


def brute_force(image, box, size, scale, samples, aligned):
    """Average of ``samples`` x ``samples`` bilinear samples in every bin of a box, [C, h, w]."""
    x1, y1, x2, y2 = box * scale - (0.5 if aligned else 0)
    steps = (torch.arange(size * samples, dtype=image.dtype) + 0.5) / (size * samples)
    y, x = (y1 + steps * (y2 - y1))[:, None], (x1 + steps * (x2 - x1))[None]
    height, width = image.shape[1:]
    rows, columns = torch.arange(height), torch.arange(width)  # centres of the pixels
    # a sample weighs the pixels around it by their distance; beyond the border it is moved onto it
    weights_y = (1 - (y.clamp(0, height - 1) - rows).abs()).clamp(min=0)
    weights_x = (1 - (x.T.clamp(0, width - 1) - columns).abs()).clamp(min=0)
    sampled = torch.einsum('yh,chw,xw->cyx', weights_y, image, weights_x)
    return sampled.unflatten(1, (size, samples)).unflatten(3, (size, samples)).mean((2, 4))


@pytest.mark.parametrize('aligned', [True, False])
def test_roi_align(aligned):
    image = torch.randn(2, 3, 10, 12, dtype=torch.float64)
    rois = torch.tensor([[0, 1.3, 2, 9, 8.5], [1, 0, 0, 21, 17], [1, 4, 4, 20, 12]]).double()
    pooled = roi_align(image, rois, (4, 4), 0.5, 2, 'avg', aligned)
    expected = [brute_force(image[int(r[0])], r[1:], 4, 0.5, 2, aligned) for r in rois]
    torch.testing.assert_close(pooled, torch.stack(expected))


def test_gradient_of_roi_align():
    image = torch.randn(2, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    rois = torch.tensor([[0, 0.5, 1, 5, 4], [1, 0, 0, 9, 7.5]]).double()
    assert torch.autograd.gradcheck(lambda x: roi_align(x, rois, (2, 3), 0.5, 2), image)


def test_deformable_convolution():
    image = torch.randn(2, 4, 6, 7).double()
    options = dict(stride=2, padding=1, dilation=1, groups=2, deform_groups=2)
    still = torch.zeros(2, 2 * 2 * 9, 3, 4).double()
    weight = torch.randn(6, 2, 3, 3).double()
    expected = torch.nn.functional.conv2d(image, weight, stride=2, padding=1, groups=2)
    torch.testing.assert_close(deform_conv2d(image, still, weight, *options.values()), expected)
    moved = torch.rand_like(still) * 0.6 + 0.2  # between pixels, where it is smooth
    leaves = [tensor.requires_grad_() for tensor in (image, moved, weight)]
    assert torch.autograd.gradcheck(lambda *x: deform_conv2d(*x, *options.values()), leaves)


def test_deformable_attention_of_a_gpu():
    shapes, starts = torch.tensor([[4, 5], [2, 3]]), torch.tensor([0, 20])
    value = torch.randn(2, 26, 2, 3, dtype=torch.float64, requires_grad=True)
    locations = torch.rand(2, 4, 2, 2, 3, 2, dtype=torch.float64) * 0.8 + 0.1
    weights = torch.rand(2, 4, 2, 2, 3, dtype=torch.float64)
    leaves = value, locations.requires_grad_(), weights.requires_grad_()
    output = MultiScaleDeformableAttnFunction.apply(value, shapes, starts, *leaves[1:], 64)
    expected = multi_scale_deformable_attn_pytorch(value, shapes, *leaves[1:])
    torch.testing.assert_close(output, expected)
    grad = torch.randn_like(output)
    torch.testing.assert_close(
        torch.autograd.grad(output, leaves, grad), torch.autograd.grad(expected, leaves, grad)
    )


def test_two_stage_detector():
    config = Path(mmdet.__file__).parent / '.mim/configs/faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
    cfg = Config.fromfile(config)
    cfg.model.backbone.update(init_cfg=None)
    cfg.test_dataloader.dataset.pipeline[1].scale = (128, 96)
    model = init_detector(cfg, device='cpu', palette='random')
    model.roi_head.test_cfg.score_thr = 0.0  # untrained scores are low
    found = inference_detector(model, np.random.randint(0, 256, (96, 128, 3), np.uint8))
    boxes = found.pred_instances.bboxes
    assert len(boxes) and torch.isfinite(boxes).all()
    assert (boxes[:, 0::2] <= 128).all() and (boxes[:, 1::2] <= 96).all()
