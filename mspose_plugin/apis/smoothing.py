"""Keypoints without jitter: the 1€ filter, over all joints of all persons at once.

G. Casiez, N. Roussel, D. Vogel: "1€ Filter: A Simple Speed-based Low-pass Filter for Noisy Input in
Interactive Systems", CHI 2012, Algorithm 1. A joint that rests is averaged over a long time, one
that moves over a short one, so that it does not lag behind. Ours: speed is the length of the
joint's velocity in sizes of the person, so that a filter fits near and far persons; and the
exponential means are weighted by the keypoints' scores.
"""

from __future__ import annotations

import numpy as np

from mspose_plugin.utils.checks import check_number, check_positive


class OneEuroFilter:
    """Smooth the keypoints of persons who have ids.

    Only the frame before is remembered: a person who was absent from it, or whose id is another
    one, starts anew. A joint in steady motion is never further behind than the person's size
    divided by ``2 π speed_coefficient``, with the default 1.3 % of it.

    Args:
        min_cutoff: cut-off frequency of a joint that rests, in Hz; less smooths more. Default: 1.
        speed_coefficient: Hz that the cut-off frequency rises for each of the person's sizes that a
            joint moves in a second (the paper's beta); more lags less. Default: 12.
        velocity_cutoff: cut-off frequency of the velocity, in Hz. Default: 2.

    Raises:
        InputError: a frequency that is not positive, or a negative coefficient.
    """

    def __init__(
        self, min_cutoff: float = 1.0, speed_coefficient: float = 12.0, velocity_cutoff: float = 2.0
    ) -> None:
        check_positive('min_cutoff', min_cutoff)
        check_positive('velocity_cutoff', velocity_cutoff)
        check_number('speed_coefficient', speed_coefficient, 0)
        self.min_cutoff = min_cutoff
        self.speed_coefficient = speed_coefficient
        self.velocity_cutoff = velocity_cutoff
        self._time = 0.0
        self._ids = np.zeros(0, int)
        self._points = self._velocities = np.zeros((0, 0, 2))
        self._weights = np.zeros((0, 0, 2))  # of points and velocities so far

    def __call__(
        self,
        ids: np.ndarray,
        points: np.ndarray,
        scores: np.ndarray,
        sizes: np.ndarray,
        time: float,
    ) -> np.ndarray:
        """Smooth a frame.

        Args:
            ids: ``[N]``, each once; persons whose id is 0 are left as they are.
            points: ``[N, K, 2]`` in pixels.
            scores: ``[N, K]``; a keypoint counts in proportion.
            sizes: ``[N]``, the persons' in pixels.
            time: of the frame in seconds, later than that of the frame before.

        Returns:
            Smoothed points ``[N, K, 2]``.
        """
        raw = np.asarray(points, np.float64)
        trust = np.asarray(scores, np.float64).clip(1e-3)[..., None]
        smooth, velocities = raw.copy(), np.zeros_like(raw)
        weights = np.repeat(trust, 2, axis=2)
        seconds = max(time - self._time, 1e-3)

        _, now, before = np.intersect1d(ids, self._ids, return_indices=True)
        if len(now):
            x, w = raw[now], trust[now]
            x_old, v_old = self._points[before], self._velocities[before]
            w_point, w_velocity = np.split(self._weights[before], 2, axis=2)

            share, w_velocity = _share(self.velocity_cutoff, seconds, w, w_velocity)
            v = v_old + share * ((x - x_old) / seconds - v_old)
            speed = np.linalg.norm(v, axis=2, keepdims=True) / sizes[now, None, None]
            cutoff = self.min_cutoff + self.speed_coefficient * speed
            share, w_point = _share(cutoff, seconds, w, w_point)
            smooth[now], velocities[now] = x_old + share * (x - x_old), v
            weights[now] = np.concatenate([w_point, w_velocity], axis=2)

        known = np.asarray(ids) > 0
        self._ids, self._time = np.asarray(ids)[known], time
        self._points, self._velocities = smooth[known], velocities[known]
        self._weights = weights[known]
        return smooth


def _share(
    cutoff: np.ndarray | float, seconds: float, weight: np.ndarray, total: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return a new value's share in a weighted exponential mean, and the mean's new weight."""
    turn = 2 * np.pi * cutoff * seconds
    gain = turn / (1 + turn)
    total = (1 - gain) * total + gain * weight
    return gain * weight / total, total
