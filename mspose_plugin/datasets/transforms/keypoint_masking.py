"""Keypoint masking (MSSPose, ECCV 2018, §3.4, Fig. 5).

The paper's two kinds: *occlusion* copies a background patch over a keypoint; *duplicate* copies a
keypoint's patch onto nearby background (text) or onto another keypoint (caption of Fig. 5 (d)).
Targets stay as they are: the covered keypoint is still to be found, the copy is not one.

The paper gives no numbers: probabilities, counts, patch sizes and distances are ours. So is what
"background" means; see :class:`.person_area.PersonArea`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmpose.registry import TRANSFORMS

from mspose_plugin.datasets.transforms.person_area import PersonArea
from mspose_plugin.utils.checks import check_number, check_range

MIN_SIDE = 3  # pixels of the smallest patch


@TRANSFORMS.register_module()
class KeypointMasking(BaseTransform):
    """Occlude and duplicate keypoints in a network input; goes after ``TopdownAffine``.

    Reads ``img`` ``[H, W]`` or ``[H, W, C]``, ``transformed_keypoints`` ``[1, K, 2]`` in its
    pixels, ``keypoints_visible`` ``[1, K]`` or ``[1, K, 2]`` and, to know where the original image
    ends, what ``TopdownAffine`` leaves. Replaces ``img`` and changes nothing else.

    An image without a labelled keypoint inside, or without room for a patch, is left unchanged. A
    keypoint is covered or duplicated, never both. Duplicates do not overlap, and cover no labelled
    keypoint except the one that they are pasted on deliberately. Lengths are relative to the
    person's size: the longer side of the box around the labelled keypoints (cut at the
    image's edge), and at least a quarter of the image's shorter side. All defaults are ours.

    Args:
        occlusion_prob: probability that an image gets occlusions. Default: 0.5.
        duplicate_prob: probability that an image gets duplicates. Default: 0.5.
        num_keypoints: fewest and most keypoints, for each kind. Default: (1, 2).
        patch_size: smallest and largest side of a patch. Default: (0.1, 0.2).
        margin: gap between the keypoints' hull and the background. Default: 0.1.
        reach: greatest horizontal and vertical distance of a duplicate on the background
            from its keypoint. Default: 0.5.
        on_other_prob: probability that a duplicate is pasted on another labelled keypoint,
            if one has no third too close; otherwise on the background. Default: 0.5.

    Raises:
        InputError: an argument is out of range, or the step does not come after ``TopdownAffine``.

    Examples:
        >>> img = np.arange(256 * 256, dtype=np.uint16).reshape(256, 256)
        >>> results = dict(img=img, transformed_keypoints=np.array([[[100., 90.]]]),
        ...                keypoints_visible=np.ones((1, 1)))
        >>> masked = KeypointMasking(occlusion_prob=1., duplicate_prob=0.)(results)['img']
        >>> bool(masked[90, 100] != img[90, 100])
        True
    """

    def __init__(
        self,
        occlusion_prob: float = 0.5,
        duplicate_prob: float = 0.5,
        num_keypoints: Sequence[int] = (1, 2),
        patch_size: Sequence[float] = (0.1, 0.2),
        margin: float = 0.1,
        reach: float = 0.5,
        on_other_prob: float = 0.5,
    ) -> None:
        """Check the arguments; see the class for them."""
        super().__init__()
        owner = type(self).__name__
        check_number(f'{owner}: occlusion_prob', occlusion_prob, 0, 1)
        check_number(f'{owner}: duplicate_prob', duplicate_prob, 0, 1)
        check_range(f'{owner}: num_keypoints', num_keypoints, 1, 1000, whole=True)
        check_range(f'{owner}: patch_size', patch_size, 0.01, 1)
        check_number(f'{owner}: margin', margin, 0, 10)
        check_number(f'{owner}: reach', reach, 0, 10)
        check_number(f'{owner}: on_other_prob', on_other_prob, 0, 1)
        self.occlusion_prob = occlusion_prob
        self.duplicate_prob = duplicate_prob
        self.num_keypoints = tuple(num_keypoints)
        self.patch_size = tuple(patch_size)
        self.margin = margin
        self.reach = reach
        self.on_other_prob = on_other_prob

    @cache_randomness
    def _seed(self) -> int:
        """Draw all randomness of one image at once, from NumPy's global state like MMPose."""
        return int(np.random.randint(2**31))

    def transform(self, results: dict) -> dict:
        """Mask keypoints of one person.

        Args:
            results: as the class describes.

        Returns:
            ``results``; ``img`` is a new array if anything was pasted, else the same one.
        """
        rng = np.random.default_rng(self._seed())
        occlude, duplicate = rng.random(2) < (self.occlusion_prob, self.duplicate_prob)
        person = PersonArea.of(results) if occlude or duplicate else None
        if person is None:
            return results
        order = rng.permutation(person.inside)
        occlusions = self._occlusions(person, order, rng) if occlude else []
        duplicates = []
        if duplicate:
            for paste in occlusions:
                order = order[~paste.covers(order)]
            duplicates = self._duplicates(person, order, rng)
        if occlusions or duplicates:
            img = results['img'].copy()
            for pastes in (occlusions, duplicates):
                patches = [img[_window(paste.source, paste.side)].copy() for paste in pastes]
                for paste, patch in zip(pastes, patches):
                    img[_window(paste.target, paste.side)] = patch
            results['img'] = img
        return results

    def _occlusions(
        self, person: PersonArea, order: np.ndarray, rng: np.random.Generator
    ) -> list[Paste]:
        """Choose background patches for the first few keypoints."""
        pastes = []
        for xy in order[: self._count(rng)]:
            side = self._side(person, rng)
            source = _pick(person.background(side, self.margin), rng)
            if source is not None:
                pastes.append(Paste(source, person.around(xy, side), side))
        return pastes

    def _duplicates(
        self, person: PersonArea, order: np.ndarray, rng: np.random.Generator
    ) -> list[Paste]:
        """Choose places for copies of the first few keypoints for which there is one."""
        pastes: list[Paste] = []
        count = self._count(rng)
        reach = round(self.reach * person.size)
        for xy in order:
            if len(pastes) == count:
                break
            side = self._side(person, rng)
            source = person.around(xy, side)
            covered = [paste.covers(person.inside) for paste in pastes]
            if not person.shows_original(source, side) or any(
                _within(person.inside[there], source, side).any() for there in covered
            ):
                continue
            target = None
            if rng.random() < self.on_other_prob:
                target = self._on_other(person, xy, side, order, pastes, rng)
            if target is None:
                free = person.background(side, self.margin)
                for x, y, taken in ((*paste.target, paste.side) for paste in pastes):
                    free[max(y - side + 1, 0) : y + taken, max(x - side + 1, 0) : x + taken] = False
                low = np.maximum(xy - side // 2 - reach, 0)
                high = np.maximum(xy - side // 2 + reach + 1, 0)
                target = _pick(free[low[1] : high[1], low[0] : high[0]], rng)
                if target is None:
                    continue
                target = target + low
            pastes.append(Paste(source, target, side))
        return pastes

    @staticmethod
    def _on_other(
        person: PersonArea,
        xy: np.ndarray,
        side: int,
        others: np.ndarray,
        pastes: Sequence[Paste],
        rng: np.random.Generator,
    ) -> np.ndarray | None:
        """Choose a place on one of ``others``, none of which has been copied, or None."""
        places = person.around(others, side)
        fit = (others != xy).any(axis=1) & (
            _within(person.inside, places[:, None], side).sum(1) == 1
        )  # [places, keypoints]
        for paste in pastes:
            apart = (places >= paste.target + paste.side) | (places + side <= paste.target)
            fit &= apart.any(1) & ~_within(others, paste.source, paste.side)
        return places[rng.choice(np.flatnonzero(fit))] if fit.any() else None

    def _count(self, rng: np.random.Generator) -> int:
        return int(rng.integers(self.num_keypoints[0], self.num_keypoints[1] + 1))

    def _side(self, person: PersonArea, rng: np.random.Generator) -> int:
        low, high = self.patch_size
        return max(round(rng.uniform(low, high) * person.size), MIN_SIDE)

    def __repr__(self) -> str:
        """Return the constructor call."""
        args = ', '.join(
            f'{name}={getattr(self, name)}'
            for name in (
                'occlusion_prob',
                'duplicate_prob',
                'num_keypoints',
                'patch_size',
                'margin',
                'reach',
                'on_other_prob',
            )
        )
        return f'{type(self).__name__}({args})'


@dataclass(frozen=True)
class Paste:
    """A square to copy: left top pixels (x, y) of source and target, and its side in pixels."""

    source: np.ndarray
    target: np.ndarray
    side: int

    def covers(self, points: np.ndarray) -> np.ndarray:
        """Say which of the pixels ``[N, 2]`` (x, y) are pasted over."""
        return _within(points, self.target, self.side)


def _within(points: np.ndarray, corner: np.ndarray, side: int) -> np.ndarray:
    """Say which of the pixels ``[N, 2]`` lie in a square; ``corner`` ``[2]`` or ``[M, 1, 2]``."""
    return np.asarray(((points >= corner) & (points < corner + side)).all(axis=-1))


def _pick(free: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """Return a random True pixel (x, y), or None if there is none."""
    places = np.flatnonzero(free)
    if not len(places):
        return None
    y, x = divmod(int(places[rng.integers(len(places))]), free.shape[1])
    return np.array((x, y), np.int32)


def _window(corner: np.ndarray, side: int) -> tuple[slice, slice]:
    """Return the index of a square."""
    return slice(corner[1], corner[1] + side), slice(corner[0], corner[0] + side)
