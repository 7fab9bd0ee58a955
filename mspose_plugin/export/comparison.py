"""A file held against PyTorch, through what users call: the same people, predicted by both.

The people are drawn ones (``synthetic``), whose pose is known exactly. In float32 the two must
agree to rounding errors. A keypoint that a change of its heatmap within those errors moves, such as
one between two equal cells, says nothing and is left out. With fewer bits, what counts is how many
more keypoints are missed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mspose_plugin.apis.predictor import PosePredictor
from mspose_plugin.export.files import ExportedFile
from mspose_plugin.export.graph import PoseGraph
from mspose_plugin.synthetic import KEYPOINTS, render_scene
from mspose_plugin.utils.checks import check

BATCHES = (1, 2, 3, 5)
"""Sizes that are tried."""
MAX_HEATMAP = 1e-4
"""Difference of heatmaps, relative to the largest value where that exceeds 1."""
MAX_PIXELS = 0.01
"""Difference of keypoints, in pixels of the network's input."""
MAX_LOSS = 1.0
"""Points of PCKh that a file of fewer bits may lose."""
PEOPLE = 64
"""Drawn people that files of fewer bits are compared on."""
_ROUNDING = 1e-5
_TRIALS = 4
_OTHER_NAMES = dict(upper_neck='neck', head='head_top')


@dataclass
class Report:
    """What a comparison found.

    Args:
        heatmaps: largest difference of the network's outputs, relative where they exceed 1; None
            where the file decodes them itself.
        pixels: largest difference of keypoints in pixels of the input.
        scores: largest difference of their scores.
        compared: keypoints that were compared.
        left_out: keypoints that rounding errors move.
        pckh: PCKh@0.5 of PyTorch and of the file; None where it was not measured.
        reference: what PCKh was measured against.
        faults: what is out of bounds, for the message.
    """

    heatmaps: float | None = None
    pixels: float | None = None
    scores: float | None = None
    compared: int = 0
    left_out: int = 0
    pckh: tuple[float, float] | None = None
    reference: str = ''
    faults: list[str] = field(default_factory=list)

    def limit(self, name: str, value: float, most: float) -> None:
        """Note a fault unless a value is within its limit."""
        if not value <= most:
            self.faults.append(f'{name} {value:.2g}, at most {most:g}')


@dataclass(frozen=True)
class Drawn:
    """A drawn person.

    Args:
        image: BGR ``[H, W, 3]``.
        box: x1, y1, x2, y2.
        keypoints: of :data:`~mspose_plugin.synthetic.KEYPOINTS`, ``[K, 2]``.
        inside: which of them are in the image, ``[K]``.
        head: PCKh's unit, 0.6 of the diagonal of the head's box.
    """

    image: np.ndarray
    box: np.ndarray
    keypoints: np.ndarray
    inside: np.ndarray
    head: float


def drawn_people(count: int, seed: int = 0) -> Iterator[Drawn]:
    """Draw people, ever the same.

    Args:
        count: how many.
        seed: of the drawing. Default: 0.
    """
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        scene = render_scene(rng, pool=(seed,))
        person = scene.people[0]
        low, high = person.keypoints.min(0), person.keypoints.max(0)
        margin = 0.1 * (high - low)
        box = np.concatenate([low - margin, high + margin])
        # the head's box has a diagonal of 1.25 head lengths
        yield Drawn(
            scene.image, box, person.keypoints, person.inside, 0.6 * 1.25 * person.head_length
        )


# ---------------------------------------------------------------- outputs


@torch.no_grad()
def compare_outputs(graph: PoseGraph, exported: ExportedFile, report: Report) -> None:
    """Compare the outputs of the graph and of the file for random images.

    Args:
        graph: in float32.
        exported: the file.
        report: to be filled in.
    """
    worst = 0.0
    for batch in BATCHES:
        images = graph.example(batch)
        for expected, found in zip(graph(images), exported(images)):
            scale = max(1.0, expected.abs().max().item())
            worst = max(worst, _largest(expected - found) / scale)
    report.heatmaps = worst
    report.limit('heatmaps differ by', worst, MAX_HEATMAP)


def _largest(difference: Tensor) -> float:
    value = difference.abs().max().item()
    return value if value == value else float('inf')


# ---------------------------------------------------------------- keypoints


def compare_keypoints(reference: PosePredictor, exported: PosePredictor, report: Report) -> None:
    """Compare keypoints and scores on drawn people, in batches of several sizes.

    Args:
        reference: by PyTorch.
        exported: by the file.
        report: to be filled in.
    """
    people = list(drawn_people(sum(BATCHES)))
    with _StableKeypoints(reference) as stable:
        expected = _predict(reference, people, len(people))
    first, found = 0, []
    for batch in BATCHES:
        found.append(_predict(exported, people[first : first + batch], batch))
        first += batch
    side = max(reference.model.head.decoder.input_size)
    boxes = np.stack([p.box for p in people])
    # the padded box is larger than the box, so that this overstates pixels of the input
    scale = side / (boxes[:, 2:] - boxes[:, :2]).max(1)
    keypoints = np.concatenate([keypoints for keypoints, _ in found])
    scores = np.concatenate([scores for _, scores in found])
    apart = np.abs(keypoints - expected[0]).max(-1) * scale[:, None]
    kept = np.concatenate(stable.kept)
    report.compared, report.left_out = int(kept.sum()), int((~kept).sum())
    report.pixels = float(apart[kept].max(initial=0.0))
    report.scores = float(np.abs(scores - expected[1]).max() / max(1.0, np.abs(expected[1]).max()))
    report.limit('keypoints differ by pixels', report.pixels, MAX_PIXELS)
    report.limit('scores differ by', report.scores, MAX_HEATMAP)
    if not report.compared:
        report.faults.append(
            'no keypoint can be compared, the network predicts flat heatmaps; is it trained?'
        )


def _predict(
    predictor: PosePredictor, people: list[Drawn], batch: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return keypoints ``[N, K, 2]`` in image pixels and scores ``[N, K]``."""
    predictor.batch_size = batch
    results = list(predictor.stream([p.image for p in people], [p.box[None] for p in people]))
    return np.concatenate([r.keypoints for r in results]), np.concatenate(
        [r.scores for r in results]
    )


class _StableKeypoints:
    """Notes which keypoints stay where they are when what is decoded changes by rounding errors.

    Args:
        predictor: whose head is watched while the context is open.
    """

    def __init__(self, predictor: PosePredictor) -> None:
        self.head = predictor.model.head
        self.kept: list[np.ndarray] = []
        self.decode = self.head.decode

    def __enter__(self) -> _StableKeypoints:
        self.head.decode = self._watched
        return self

    def __exit__(self, *_: Any) -> None:
        del self.head.decode

    def _watched(self, outputs: Any) -> Any:
        instances = self.decode(outputs)
        places = np.concatenate([i.keypoints for i in instances])
        generator = torch.Generator().manual_seed(0)
        kept = np.ones(places.shape[:2], bool)
        for _ in range(_TRIALS):
            moved = self.decode(_disturbed(outputs, generator))
            apart = np.abs(np.concatenate([i.keypoints for i in moved]) - places)
            kept &= (apart <= MAX_PIXELS / 2).all(-1)
        self.kept.append(kept)
        return instances


def _disturbed(outputs: Any, generator: torch.Generator) -> Any:
    if isinstance(outputs, tuple):
        return tuple(_disturbed(part, generator) for part in outputs)
    noise = torch.rand(outputs.shape, generator=generator).to(outputs) * 2 - 1
    return outputs + noise * (_ROUNDING * max(1.0, outputs.abs().max().item()))


# ---------------------------------------------------------------- fewer bits


def compare_pckh(
    reference: PosePredictor, exported: PosePredictor, report: Report, max_loss: float = MAX_LOSS
) -> None:
    """Compare how many keypoints of drawn people are found.

    A keypoint is found within half a head of its true place. Where the drawing has none of the
    model's keypoints, or PyTorch finds less than a quarter of them, PyTorch's own keypoints stand
    for the true ones.

    Args:
        reference: by PyTorch.
        exported: by the file.
        report: to be filled in.
        max_loss: points that may be lost.
    """
    people = list(drawn_people(PEOPLE))
    expected, found = (_predict(p, people, 8)[0] for p in (reference, exported))
    own = [_OTHER_NAMES.get(name, name) for name in reference.names]
    shared = [(i, KEYPOINTS.index(name)) for i, name in enumerate(own) if name in KEYPOINTS]
    heads = np.array([p.head for p in people])[:, None]
    both = (0.0, 0.0)
    if shared:
        of_model, of_drawing = map(list, zip(*shared))
        truth = np.stack([p.keypoints for p in people])[:, of_drawing]
        there = np.stack([p.inside for p in people])[:, of_drawing]
        both = (
            _pck(expected[:, of_model], truth, heads, there),
            _pck(found[:, of_model], truth, heads, there),
        )
        report.reference = f'{PEOPLE} drawn people'
    if both[0] < 25:
        everything = np.ones(expected.shape[:2], bool)
        both = 100.0, _pck(found, expected, heads, everything)
        report.reference = f"PyTorch's keypoints on {PEOPLE} drawn people"
    report.pckh = both
    report.limit('points of PCKh lost', both[0] - both[1], max_loss)


def _pck(keypoints: np.ndarray, truth: np.ndarray, heads: np.ndarray, there: np.ndarray) -> float:
    """Return the share of keypoints ``[N, K, 2]`` within half a head, in percent."""
    apart = np.linalg.norm(keypoints - truth, axis=-1)
    check(there.any(), 'no keypoint to compare')
    return float(100 * (apart <= 0.5 * heads)[there].mean())
