"""Scenes as FLIC: examples.mat, person-centric, 1-based."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mspose_plugin.synthetic.body import INDEX
from mspose_plugin.synthetic.layout import Layout, Records, save_mat
from mspose_plugin.synthetic.scene import Scene


class FlicLayout(Layout):
    """FLIC's original examples.mat: person-centric left and right, 1-based pixels."""

    columns = {
        'left_shoulder': 0, 'left_elbow': 1, 'left_wrist': 2, 'right_shoulder': 3,
        'right_elbow': 4, 'right_wrist': 5, 'left_hip': 6, 'right_hip': 9, 'left_eye': 12,
        'right_eye': 13, 'nose': 16,
    }  # fmt: skip
    margin = 8.0  # pixels outside the image up to which a joint is still labelled
    frames_per_film = 100
    _order = np.array([INDEX[name] for name in columns])

    def _film(self, split: str, index: int) -> tuple[str, int]:
        film, frame = divmod(index, self.frames_per_film)
        return f'synthetic-{split}-{film:03d}', 10 * frame + 1

    def image_file(self, split: str, index: int) -> str:
        """Return `images/<film>-<frame>.jpg`."""
        film, frame = self._film(split, index)
        return f'images/{film}-{frame:08d}.jpg'

    def annotate(
        self, scene: Scene, split: str, index: int, rng: np.random.Generator
    ) -> dict[str, Any]:
        """Return the fields of one element of `examples`."""
        person = scene.people[0]
        height, width = scene.ids.shape
        points = person.keypoints[self._order]
        near = (points > -self.margin) & (points < np.array([width, height]) + self.margin)
        coords = np.full((2, 29), np.nan)
        labelled = np.where(near.all(axis=1)[:, None], points + 1.0, np.nan)
        coords[:, list(self.columns.values())] = labelled.T.round(2)
        trunk = person.keypoints[
            [INDEX[f'{s}_{j}'] for s in ('left', 'right') for j in ('shoulder', 'hip')]
        ]
        low, high = trunk.min(axis=0), trunk.max(axis=0)
        pad = 0.06 * person.stature
        box = np.concatenate([low - pad, high + pad]) + 0.2 * pad * rng.standard_normal(4) + 1.0
        film, frame = self._film(split, index)
        return {
            'poselet_hit_idx': np.sort(rng.integers(1, 200, (1, 6))).astype(np.uint16),
            'moviename': film,
            'coords': coords,
            'filepath': Path(self.image_file(split, index)).name,
            'imgdims': np.array([[height, width, 3]], np.uint16),
            'currframe': float(frame),
            'torsobox': box[None].round(2),
            'istrain': np.uint8(split == 'train'),
            'istest': np.uint8(split != 'train'),
        }

    def finish(self, root: Path, records: dict[str, Records]) -> None:
        """Write examples.mat, train before test."""
        rows = records['train'] + records['val']
        fields = list(rows[0])
        examples = np.empty((1, len(rows)), [(name, object) for name in fields])
        for i, row in enumerate(rows):
            examples[0, i] = tuple(row[name] for name in fields)
        save_mat(root / 'examples.mat', {'examples': examples})
