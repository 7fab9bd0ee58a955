"""What a person detector would find in a scene."""

from __future__ import annotations

from typing import Any

import numpy as np


def detect(
    rng: np.random.Generator, boxes: np.ndarray, size: tuple[int, int]
) -> list[dict[str, Any]]:
    """Imitate a person detector: jittered boxes, misses, low-score duplicates, false alarms.

    Args:
        rng: random generator.
        boxes: true boxes ``[N, 4]`` as x, y, width, height.
        size: image width and height.

    Returns:
        Detections with ``bbox``, ``category_id`` and ``score``, best first.
    """
    found = []

    def add(box: np.ndarray, jitter: float, score: float) -> None:
        corners = np.concatenate([box[:2], box[:2] + box[2:]])
        corners = corners + jitter * np.tile(box[2:], 2) * rng.standard_normal(4)
        corners = np.clip(corners, 0.0, np.tile(size, 2))
        extent = corners[2:] - corners[:2]
        if (extent > 2.0).all():
            values = np.concatenate([corners[:2], extent]).round(3).tolist()
            found.append({'bbox': values, 'category_id': 1, 'score': round(score, 5)})

    for box in boxes:
        u = rng.random(4)
        if u[0] < 0.96:
            add(box, 0.03, 1.0 - 0.35 * float(u[1]) ** 4)
        for _ in range(int(3 * u[2])):
            add(box, 0.12, 0.4 * float(rng.random()) ** 2 + 0.003)
    for _ in range(int(rng.poisson(1.2))):
        extent = np.array(size) * rng.uniform(0.1, 0.5, 2)
        corner = rng.uniform(0.0, 1.0, 2) * (size - extent)
        add(np.concatenate([corner, extent]), 0.0, 0.5 * float(rng.random()) ** 3 + 0.003)
    return sorted(found, key=lambda f: -f['score'])
