"""Conditional testing and multi-scale testing for any top-down heatmap model: crop, predict, fuse.

Ke, Chang, Qi, Lyu, "Multi-Scale Structure-Aware Network for Human Pose Estimation", ECCV 2018:
conditional testing is §4.1, see ``fusion.py``; six-scale testing is that of the paper's hourglass
baseline (§4.3), see ``multi_scale.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
from mspose_plugin.models.pose_estimators.conditional_options import ConditionalOptions
from mspose_plugin.models.pose_estimators.fusion import retry_and_fuse
from mspose_plugin.models.pose_estimators.multi_scale import average, scales_from_cfg
from mspose_plugin.models.pose_estimators.recrop import UNCHANGED, Recropper
from mspose_plugin.utils.checks import check_value
from mspose_plugin.utils.errors import InputError


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
