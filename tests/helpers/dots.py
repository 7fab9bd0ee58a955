"""A detector of coloured dots: images, and a model whose heatmaps are its input's channels."""

from __future__ import annotations

import cv2
import numpy as np
import torch.nn.functional as F
from mmengine.config import Config
from mmpose.codecs import UDPHeatmap
from mmpose.models import HeatmapHead
from mmpose.registry import MODELS
from torch import nn

SIZE = (400, 300)  # of the image
BOX = np.array([120.0, 80.0, 220.0, 200.0])
POINTS = np.array([[150.0, 120.0], [190.3, 160.7], [170.6, 100.2]])
CODECS = dict(
    msra=dict(type='MSRAHeatmap', sigma=2, unbiased=True, blur_kernel_size=7),
    udp=dict(type='UDPHeatmap', sigma=2, blur_kernel_size=7),
)


class DotBackbone(nn.Module):
    """Return the image's three channels at the codec's heatmap pixels; count what comes by."""

    def __init__(self, udp, heatmap_size):
        super().__init__()
        self.udp, self.size = udp, heatmap_size[::-1]
        self.batches = []

    def forward(self, x):
        self.batches.append(len(x))
        if self.udp:  # first and last pixels coincide
            return (F.interpolate(x, self.size, mode='bilinear', align_corners=True),)
        step = x.shape[-1] // self.size[-1]
        return (x[..., ::step, ::step],)

    @property
    def count(self):
        return sum(self.batches)


def draw(points=POINTS, peaks=(1.0, 1.0, 1.0), size=SIZE, sigma=5.0):
    """Return a BGR image with one Gaussian dot in each channel."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    dots = [
        peak * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2))
        for (px, py), peak in zip(points, peaks)
    ]
    return (np.stack(dots, axis=-1) * 255).round().astype(np.uint8)


def write(path, **kwargs):
    """Save :func:`draw`'s image and return its path."""
    assert cv2.imwrite(str(path), draw(**kwargs))
    return str(path)


def build(
    test_cfg=None,
    codec='msra',
    input_size=(96, 96),
    keep=True,
    kind='ConditionalTopdownPoseEstimator',
    head=None,
    **options,
):
    """Return the model, ready for ``inference_topdown``; no flip testing unless asked for."""
    heatmap_size = tuple(s // 2 for s in input_size)
    decoder = dict(CODECS[codec], input_size=input_size, heatmap_size=heatmap_size, **options)
    model = MODELS.build(
        dict(
            type=kind,
            backbone=dict(type=DotBackbone, udp=codec == 'udp', heatmap_size=heatmap_size),
            head=head
            or dict(
                type=HeatmapHead,
                in_channels=3,
                out_channels=3,
                deconv_out_channels=None,
                final_layer=None,
                decoder=decoder,
            ),
            data_preprocessor=dict(type='PoseDataPreprocessor', mean=[0] * 3, std=[255] * 3),
            test_cfg=test_cfg or {},
        )
    )
    udp = isinstance(model.head.decoder, UDPHeatmap)
    pipeline = [
        *[dict(type='KeepOriginalImage')] * keep,
        dict(type='LoadImageChecked'),
        dict(type='GetBBoxCenterScale', padding=1.25),
        dict(type='TopdownAffine', input_size=input_size, use_udp=udp),
        dict(type='PackPoseInputs'),
    ]
    model.cfg = Config(dict(test_dataloader=dict(dataset=dict(pipeline=pipeline))))
    model.dataset_meta = dict(flip_indices=[0, 1, 2])
    return model.eval()
