"""Where people are looked for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

Detector = Callable[[np.ndarray], np.ndarray]
"""BGR image ``[H, W, 3]`` -> boxes ``[N, 5]``: x1, y1, x2, y2 in pixels, score."""


def torchvision_detector(device: torch.device) -> Detector:
    """Return torchvision's Faster R-CNN (ResNet-50 FPN v2, COCO), people only."""
    from torchvision.models import detection as zoo

    weights = zoo.FasterRCNN_ResNet50_FPN_V2_Weights.COCO_V1
    network = zoo.fasterrcnn_resnet50_fpn_v2(weights=weights).to(device).eval()
    person = weights.meta['categories'].index('person')

    @torch.no_grad()
    def detect(image: np.ndarray) -> np.ndarray:
        rgb = torch.from_numpy(np.ascontiguousarray(image[..., ::-1])).permute(2, 0, 1)
        found = network([rgb.to(device, torch.float32) / 255])[0]
        boxes = torch.column_stack([found['boxes'], found['scores']])
        return boxes[found['labels'] == person].cpu().numpy()

    return detect
