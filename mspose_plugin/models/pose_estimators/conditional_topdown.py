"""Conditional testing and multi-scale testing for any top-down heatmap model: crop, predict, fuse.

Ke, Chang, Qi, Lyu, "Multi-Scale Structure-Aware Network for Human Pose Estimation", ECCV 2018,
§4.1: a keypoint whose confidence is below tau_c is estimated again with the person's location
perturbed, the trials whose score is above tau_s are fused, and both thresholds come from the
validation set. The paper adds that this may reduce accuracy. It does not say how trials are fused:
:func:`fuse` is ours, as are perturbed scales. Six-scale testing is that of the paper's hourglass
baseline (§4.3); see ``multi_scale.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.codecs import UDPHeatmap
from mmpose.datasets.transforms import TopdownAffine
from mmpose.models.pose_estimators import TopdownPoseEstimator
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import Tensor

from mspose_plugin.datasets.transforms import BorderedTopdownAffine, LoadImageChecked
from mspose_plugin.datasets.transforms.original_image import FIELD
from mspose_plugin.models.pose_estimators.conditional_options import (
    REMEDY,
    WHERE,
    ConditionalOptions,
)
from mspose_plugin.models.pose_estimators.multi_scale import average, scales_from_cfg
from mspose_plugin.models.pose_estimators.recrop import UNCHANGED, Recropper
from mspose_plugin.utils.checks import check_value
from mspose_plugin.utils.errors import InputError

Estimate = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@MODELS.register_module()
class ConditionalTopdownPoseEstimator(TopdownPoseEstimator):
    """MMPose's top-down estimator with conditional and multi-scale testing.

    Without ``conditional`` and ``multi_scale`` in ``test_cfg`` it is its parent. With either, each
    prediction also carries ``num_trials`` ``[1]``, the extra estimates that the person took, and
    ``num_passes`` ``[1]``, the images that went through the network for it in all. Heatmaps
    (``output_heatmaps``) are those of the first estimate.

    ``test_cfg`` takes, beside MMPose's entries:

    - ``conditional`` (dict): see :class:`ConditionalOptions`. Default: None.
    - ``output_trials`` (bool): predictions also carry ``trial_keypoints`` ``[1, 1 + P, K, D]`` and
      ``trial_scores`` ``[1, 1 + P, K]``, the first estimate and every perturbation's, NaN for
      trials that were not made; ``trial_counts`` ``[1, 1 + P, K]``, bool, which of them the result
      is the mean of; ``trial_crops`` ``[1, 1 + P, 4]``, x1, y1, x2, y2 in image pixels.
      Default: False.
    - ``multi_scale`` (dict | bool): ``dict(scales=(...))``, or True for 0.8, 0.9 ... 1.3. Heatmaps
      of all scales are averaged before they are decoded, in conditional trials too. Default: None.
    - ``image_loader`` (dict): arguments of ``LoadImageChecked`` for reading images again, such as
      ``backend_args``. Default: None.
    - ``use_udp`` (bool): how the pipeline's ``TopdownAffine`` crops. Default: None, True with
      ``UDPHeatmap`` alone.
    - ``border`` (Sequence[float]): that of the pipeline's ``BorderedTopdownAffine``. Default:
      black, as MMPose's ``TopdownAffine``.

    Both read the original image again, by its path. For arrays (MMPose's inference API) the test
    pipeline must begin with ``KeepOriginalImage``.

    Args:
        *args: as MMPose's ``TopdownPoseEstimator``.
        channels_last: lay out weights and activations channels-last: faster on CPUs, and on GPUs
            with autocast or TF32; without either a GPU may be a little slower. What is computed
            is the same, and so are checkpoints. Defaults to True.
        **kwargs: as ``*args``.

    Raises:
        InputError: a ``test_cfg`` entry that is not as described.
    """

    def __init__(self, *args, channels_last: bool = True, **kwargs) -> None:
        """Read ``test_cfg``; see the class for the arguments."""
        super().__init__(*args, **kwargs)
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.to(memory_format=self.memory_format)
        self.read_test_cfg()

    def read_test_cfg(self) -> None:
        """Read ``test_cfg``; to be called when it has changed.

        Raises:
            InputError: an entry that is not as described.
        """
        conditional, scales = (self.test_cfg.get(k) for k in ('conditional', 'multi_scale'))
        off = (None, False)
        self.conditional = None if conditional in off else ConditionalOptions.from_cfg(conditional)
        self.scales = (1.0,) if scales in off else scales_from_cfg(scales)
        decoder = getattr(self.head, 'decoder', None) if self.with_head else None
        heatmaps = hasattr(decoder, 'heatmap_size')
        heatmaps &= getattr(decoder, 'heatmap_type', '') != 'combined'
        known = f'None: the decoder, {type(decoder).__name__}, does not decode plain heatmaps'
        check_value(heatmaps or self.scales == (1.0,), 'test_cfg.multi_scale', scales, known)
        self._loader = LoadImageChecked(**self.test_cfg.get('image_loader') or {})
        use_udp = self.test_cfg.get('use_udp')
        self._use_udp = isinstance(decoder, UDPHeatmap) if use_udp is None else bool(use_udp)

    def extract_feat(self, inputs: Tensor) -> Any:
        """Run backbone and neck.

        Args:
            inputs: ``[B, C, H, W]``, normalised.

        Returns:
            What the head takes.
        """
        return super().extract_feat(inputs.contiguous(memory_format=self.memory_format))

    def predict(self, inputs: Tensor, data_samples: list[PoseDataSample]) -> list[PoseDataSample]:
        """Predict keypoints, from further crops of the images where ``test_cfg`` asks for them.

        Args:
            inputs: ``[B, C, H, W]``, normalised.
            data_samples: the batch, with ``img_path`` (or ``KeepOriginalImage``'s reference),
                ``ori_shape``, ``input_center``, ``input_scale`` and ``input_size``.

        Returns:
            The samples, with ``pred_instances`` in image pixels.

        Raises:
            InputError: an image that cannot be read again, or another number of keypoints than
                thresholds.
        """
        if self.conditional is None and self.scales == (1.0,):
            results = super().predict(inputs, data_samples)
        else:
            results = self._crop_and_predict(inputs, data_samples)
        for sample in results:
            sample.gt_instances.pop(FIELD, None)
        return results

    def _crop_and_predict(
        self, inputs: Tensor, samples: list[PoseDataSample]
    ) -> list[PoseDataSample]:
        """Predict; with ``conditional``, crop and predict unsure persons again, and fuse."""
        width, height = samples[0].metainfo['input_size']
        size, border = (int(width), int(height)), self.test_cfg.get('border')
        affine = TopdownAffine(size, self._use_udp)
        if border is not None:
            affine = BorderedTopdownAffine(size, self._use_udp, border)
        crops = Recropper(inputs, samples, self.data_preprocessor, affine, self._loader)
        persons = np.arange(len(samples))
        results = self._estimate(
            inputs, samples, crops, persons, np.tile(UNCHANGED, (len(samples), 1))
        )
        trials = np.zeros(len(samples), int)
        if self.conditional is not None:
            trials = self._retry(results, crops, self.conditional)
        passes = len(self.scales) * (2 if self.test_cfg.get('flip_test') else 1)
        for sample, count in zip(results, trials):
            sample.pred_instances.num_trials = np.asarray([count])
            sample.pred_instances.num_passes = np.asarray([(1 + count) * passes])
        return results

    def _retry(
        self, results: list[PoseDataSample], crops: Recropper, options: ConditionalOptions
    ) -> np.ndarray:
        """Put fused keypoints into ``results``; return each person's number of trials."""
        size = options.batch_size or len(results)

        def estimate(who: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            trials: list[PoseDataSample] = []
            for first in range(0, len(who), size):
                at = slice(first, first + size)
                chunk = who[at], options.perturbations[which[at]]
                trials += self._estimate(*crops.crop(*chunk), crops, *chunk)
            return _predictions(trials)

        sides, possible = crops.scales.max(axis=1), crops.see_image(options.perturbations)
        out = retry_and_fuse(*_predictions(results), sides, possible, options, estimate)
        tried = crops.boxes(np.concatenate([UNCHANGED[None], options.perturbations]))
        for i, sample in enumerate(results):
            pred = sample.pred_instances
            follows = np.array_equal(pred.keypoints_visible, pred.keypoint_scores, equal_nan=True)
            pred.keypoints, pred.keypoint_scores = out.keypoints[i, None], out.scores[i, None]
            if follows:  # as MMPose sets it where the codec predicts no visibility
                pred.keypoints_visible = pred.keypoint_scores
            if self.test_cfg.get('output_trials'):
                pred.trial_keypoints = out.trial_keypoints[None, :, i]
                pred.trial_scores = out.trial_scores[None, :, i]
                pred.trial_counts = out.trial_counts[None, :, i]
                pred.trial_crops = tried[None, i]
        return out.trials

    def _estimate(
        self,
        inputs: Tensor,
        samples: list[PoseDataSample],
        crops: Recropper,
        who: np.ndarray,
        perturbations: np.ndarray,
    ) -> list[PoseDataSample]:
        """Predict from ``inputs``, crops of perturbed boxes, and from the crops' other scales."""
        if self.scales == (1.0,):
            return super().predict(inputs, samples)
        heatmaps = {}
        for scale in self.scales:
            other = scale != 1
            scaled = crops.crop(who, perturbations * [1, 1, scale])[0] if other else inputs
            heatmaps[scale] = self._heatmaps(scaled, samples)
        offset = 0.5 if self._use_udp else getattr(self.head.decoder, 'cell_offset', 0.0)
        mean = average(heatmaps, offset)
        maps = None
        if self.test_cfg.get('output_heatmaps'):
            maps = [PixelData(heatmaps=h) for h in mean.detach()]
        return self.add_pred_to_datasample(self.head.decode(mean), maps, samples)

    def _heatmaps(self, inputs: Tensor, samples: list[PoseDataSample]) -> Tensor:
        """Return the head's heatmaps ``[B, K, H, W]``, averaged with the mirror image's."""
        feats = self.extract_feat(inputs)
        if self.test_cfg.get('flip_test'):
            feats = [feats, self.extract_feat(inputs.flip(-1))]
        test_cfg = {**self.test_cfg, 'output_heatmaps': True}
        preds = self.head.predict(feats, samples, test_cfg=test_cfg)
        if not isinstance(preds, tuple):
            name = type(self.head).__name__
            raise InputError(f'test_cfg.multi_scale: {name} gives no heatmaps; omit it')
        return torch.stack([field.heatmaps for field in preds[1]])


def _predictions(samples: Sequence[PoseDataSample]) -> tuple[np.ndarray, np.ndarray]:
    """Return keypoints ``[n, K, D]`` and scores ``[n, K]``."""
    preds = InstanceData.cat([sample.pred_instances for sample in samples])
    return preds.keypoints, preds.keypoint_scores


class Outcome(NamedTuple):
    """What conditional testing makes of a batch.

    Args:
        keypoints: ``[N, K, D]``, fused where the first estimate was below tau_c.
        scores: ``[N, K]``, likewise.
        trials: ``[N]``, extra estimates that each person took.
        trial_keypoints: ``[1 + P, N, K, D]``, the first estimate and the trials in the order of
            the perturbations, NaN for those that were not made.
        trial_scores: ``[1 + P, N, K]``, likewise.
        trial_counts: ``[1 + P, N, K]``, bool, those that ``keypoints`` are the mean of.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    trials: np.ndarray
    trial_keypoints: np.ndarray
    trial_scores: np.ndarray
    trial_counts: np.ndarray


def retry_and_fuse(
    keypoints: np.ndarray,
    scores: np.ndarray,
    sides: np.ndarray,
    possible: np.ndarray,
    options: ConditionalOptions,
    estimate: Estimate,
) -> Outcome:
    """Try again where the first estimates are below tau_c, round by round, and fuse.

    Nothing here knows a network: in testing ``estimate`` crops and predicts, in calibration it
    looks up recorded trials, so that what is calibrated is what is tested.

    Args:
        keypoints: first estimates ``[N, K, D]`` in image pixels.
        scores: their confidences ``[N, K]``.
        sides: ``[N]``, longer side of the padded boxes in image pixels.
        possible: ``[N, P]``, bool, which perturbed boxes can be cropped.
        options: thresholds, perturbations and budget.
        estimate: takes indices of persons ``[n]`` and of perturbations ``[n]``, returns
            keypoints ``[n, K, D]`` and scores ``[n, K]``.

    Raises:
        InputError: as :func:`below`.
    """
    size = len(options.perturbations)
    all_keypoints = np.full((1 + size, *keypoints.shape), np.nan, keypoints.dtype)
    all_scores = np.full((1 + size, *scores.shape), np.nan, scores.dtype)
    all_keypoints[0], all_scores[0] = keypoints, scores
    low = below(scores, options.thresholds)
    unsolved, trials = low.copy(), np.zeros(len(scores), int)
    step = options.trials_per_round or size
    for first in range(0, size, step):
        wanted = unsolved.any(axis=1, keepdims=True) & possible[:, first : first + step]
        trials += wanted.sum(axis=1)
        who, which = np.nonzero(wanted)
        if len(who):
            at = 1 + first + which, who
            all_keypoints[at], all_scores[at] = estimate(who, first + which)
        tried = all_scores[1 + first : 1 + first + step]
        unsolved &= below(tried, options.thresholds).all(axis=0)
    fused, confidence = keypoints.copy(), scores.copy()
    counts = np.zeros(all_scores.shape, bool)
    counts[0] = True
    fused[low], confidence[low], counts[:, low] = fuse(
        all_keypoints[:, low], all_scores[:, low], sides[np.nonzero(low)[0]], options
    )
    return Outcome(fused, confidence, trials, all_keypoints, all_scores, counts)


def below(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return which keypoints are below tau_c.

    Args:
        scores: ``[..., K]``; a NaN is below every threshold but 0.
        thresholds: tau_c, ``[K]`` or ``[1]``.

    Returns:
        ``[..., K]``, bool.

    Raises:
        InputError: the model has another number of keypoints than there are thresholds.
    """
    keypoints, given = scores.shape[-1], len(thresholds)
    if given not in (1, keypoints):
        known = f'{keypoints}, one for each keypoint of the model; {REMEDY}'
        raise InputError(f'{WHERE}.thresholds: number={given}: expected {known}')
    return (thresholds > 0) & ~(scores >= thresholds)


def fuse(
    keypoints: np.ndarray, scores: np.ndarray, sides: np.ndarray, options: ConditionalOptions
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fuse trials, keypoint by keypoint.

    Each trial whose score exceeds tau_s is backed by those that agree with it, itself among
    them, with their scores. The result is the mean, weighted by score, of the positions (and of
    the scores) of those that back the best backed one; of equally backed ones the most
    confident counts. So a single confident mistake is outvoted, and the mean never falls
    between two places. Where no score exceeds tau_s, the most confident trial is the result.

    Args:
        keypoints: ``[T, K, D]`` in image pixels; K keypoints of any persons.
        scores: ``[T, K]``; those that are not finite never count.
        sides: ``[K]``, longer side of each one's padded box in image pixels.
        options: ``score_threshold`` and ``agreement``.

    Returns:
        Keypoints ``[K, D]``, scores ``[K]``, and which trials ``[T, K]`` they are the mean of.
    """
    rank = np.where(np.isfinite(scores), scores, -np.inf)
    votes = np.where(rank > options.score_threshold, rank, 0.0)
    apart = np.linalg.norm(keypoints[:, None, :, :2] - keypoints[None, ..., :2], axis=-1)
    agree = apart <= options.agreement * sides  # [T, T, K]
    backing = np.where(votes > 0, (agree * votes).sum(axis=1), 0.0)
    backed = backing >= backing.max(axis=0) - 1e-6
    best = np.where(backed, rank, -np.inf).argmax(axis=0), np.arange(scores.shape[1])
    counts = (votes > 0) & agree[best[0], :, best[1]].T
    weights = np.where(counts, votes, 0.0)
    total = weights.sum(axis=0)
    weights = weights / np.where(total > 0, total, 1.0)
    values = np.concatenate([keypoints, scores[..., None]], axis=-1)
    mean = (weights[..., None] * np.where(counts[..., None], values, 0.0)).sum(axis=0)
    fused = np.where(total[:, None] > 0, mean, values[best]).astype(keypoints.dtype)
    alone = np.arange(len(scores))[:, None] == best[0]
    return fused[:, :-1], fused[:, -1].astype(scores.dtype), np.where(total > 0, counts, alone)
