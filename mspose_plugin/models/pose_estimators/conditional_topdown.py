"""Conditional testing and multi-scale testing for any top-down heatmap model.

Ke, Chang, Qi, Lyu, "Multi-Scale Structure-Aware Network for Human Pose Estimation", ECCV 2018,
§4.1 and §4.3. ``conditional`` and ``multi_scale`` say what of them is the paper's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.structures import PixelData
from mmpose.codecs import UDPHeatmap
from mmpose.models.pose_estimators import TopdownPoseEstimator
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import Tensor

from mspose_plugin.datasets.transforms import LoadImageChecked
from mspose_plugin.models.pose_estimators.conditional import ConditionalTesting
from mspose_plugin.models.pose_estimators.multi_scale import HeatmapMean, scales_from_cfg
from mspose_plugin.models.pose_estimators.recrop import FIELD, Box, Recropper
from mspose_plugin.utils.errors import InputError


@MODELS.register_module()
class ConditionalTopdownPoseEstimator(TopdownPoseEstimator):
    """MMPose's top-down estimator with conditional and multi-scale testing.

    Without ``conditional`` and ``multi_scale`` in ``test_cfg`` it is its parent. With either, each
    prediction also carries ``num_trials`` ``[1]``, the extra estimates that the person took, and
    ``num_passes`` ``[1]``, the images that went through the network for it in all. Heatmaps
    (``output_heatmaps``) are those of the first estimate.

    ``test_cfg`` takes, beside MMPose's entries:

    - ``conditional`` (dict): see :class:`ConditionalTesting`. Default: None.
    - ``output_trials`` (bool): predictions also carry ``trial_keypoints`` ``[1, 1 + P, K, D]`` and
      ``trial_scores`` ``[1, 1 + P, K]``, the first estimate and every perturbation's, NaN for
      trials that were not made; calibration records them. Default: False.
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
        **kwargs: likewise.

    Raises:
        InputError: a ``test_cfg`` entry that is not as described.
    """

    def __init__(self, *args, **kwargs) -> None:
        """Read ``test_cfg``; see the class for the arguments."""
        super().__init__(*args, **kwargs)
        conditional, scales = (self.test_cfg.get(k) for k in ('conditional', 'multi_scale'))
        off = (None, False)
        self.conditional = None if conditional in off else ConditionalTesting.from_cfg(conditional)
        self.scales = (1.0,) if scales in off else scales_from_cfg(scales)
        if not self.with_head or (self.conditional is None and self.scales == (1.0,)):
            return
        decoder = getattr(self.head, 'decoder', None)
        if self.scales != (1.0,) and (
            not hasattr(decoder, 'heatmap_size')
            or getattr(decoder, 'heatmap_type', '') == 'combined'
        ):
            raise InputError(
                'test_cfg.multi_scale averages heatmaps, which the head\'s decoder '
                f'{type(decoder).__name__} does not decode; omit it'
            )
        self._loader = LoadImageChecked(**self.test_cfg.get('image_loader') or {})
        use_udp = self.test_cfg.get('use_udp')
        self._use_udp = isinstance(decoder, UDPHeatmap) if use_udp is None else bool(use_udp)

    def predict(
        self, inputs: Tensor, data_samples: Sequence[PoseDataSample]
    ) -> list[PoseDataSample]:
        """Predict keypoints, with further looks at the images where ``test_cfg`` says so.

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
            results = self._look_again(inputs, data_samples)
        for sample in results:
            sample.gt_instances.pop(FIELD, None)
        return results

    def _look_again(
        self, inputs: Tensor, data_samples: list[PoseDataSample]
    ) -> list[PoseDataSample]:
        crops = Recropper(
            inputs,
            data_samples,
            self.data_preprocessor,
            self._use_udp,
            self._loader,
            self.test_cfg.get('border', (0.0, 0.0, 0.0)),
        )
        results = self._estimate(inputs, data_samples, crops.boxes, crops)
        trials = [0] * len(results) if self.conditional is None else self._try_again(results, crops)
        passes = len(self.scales) * (2 if self.test_cfg.get('flip_test') else 1)
        for sample, count in zip(results, trials):
            sample.pred_instances.num_trials = np.asarray([count])
            sample.pred_instances.num_passes = np.asarray([(1 + count) * passes])
        return results

    def _estimate(
        self, inputs: Tensor, samples: list[PoseDataSample], boxes: Sequence[Box], crops: Recropper
    ) -> list[PoseDataSample]:
        """Predict from ``inputs``, the crops of ``boxes``, and their other scales."""
        if self.scales == (1.0,):
            return super().predict(inputs, samples)
        mean = HeatmapMean(0.5 if self._use_udp else getattr(self.head.decoder, 'cell_offset', 0.0))
        for scale in self.scales:
            scaled = (
                inputs
                if scale == 1
                else crops.crop([box.perturbed(0, 0, scale) for box in boxes])[0]
            )
            mean.add(self._heatmaps(scaled, samples), scale)
        heatmaps = mean.result()
        maps = None
        if self.test_cfg.get('output_heatmaps'):
            maps = [PixelData(heatmaps=h) for h in heatmaps.detach()]
        return self.add_pred_to_datasample(self.head.decode(heatmaps), maps, samples)

    def _heatmaps(self, inputs: Tensor, samples: list[PoseDataSample]) -> Tensor:
        """Return the head's heatmaps ``[B, K, H, W]``, averaged with the mirror image's."""
        feats = self.extract_feat(inputs)
        if self.test_cfg.get('flip_test'):
            feats = [feats, self.extract_feat(inputs.flip(-1))]
        preds = self.head.predict(
            feats, samples, test_cfg={**self.test_cfg, 'output_heatmaps': True}
        )
        if not isinstance(preds, tuple):
            raise InputError(f'test_cfg.multi_scale: {type(self.head).__name__} gives no heatmaps')
        return torch.stack([field.heatmaps for field in preds[1]])

    def _try_again(self, results: list[PoseDataSample], crops: Recropper) -> np.ndarray:
        """Try again and fuse where ``conditional`` says so; return each person's trials."""
        cfg, size = self.conditional, self.conditional.batch_size or len(results)

        def estimate(who: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            boxes = [crops.boxes[i].perturbed(*cfg.perturbations[p]) for i, p in zip(who, which)]
            trials = []
            for at in range(0, len(boxes), size):
                chunk = boxes[at : at + size]
                trials += self._estimate(*crops.crop(chunk), chunk, crops)
            return _predictions(trials)

        sides = np.array([box.scale.max() for box in crops.boxes])
        out = cfg.run(*_predictions(results), sides, crops.see_image(cfg.perturbations), estimate)
        for i, pred in enumerate(sample.pred_instances for sample in results):
            follows = np.array_equal(pred.keypoints_visible, pred.keypoint_scores, equal_nan=True)
            pred.keypoints, pred.keypoint_scores = out.keypoints[i, None], out.scores[i, None]
            if follows:  # as MMPose sets it where the codec predicts no visibility
                pred.keypoints_visible = pred.keypoint_scores
            if self.test_cfg.get('output_trials'):
                pred.trial_keypoints = out.trial_keypoints[None, :, i]
                pred.trial_scores = out.trial_scores[None, :, i]
        return out.trials


def _predictions(samples: Sequence[PoseDataSample]) -> tuple[np.ndarray, np.ndarray]:
    """Return keypoints ``[n, K, D]`` and scores ``[n, K]``."""
    preds = [sample.pred_instances for sample in samples]
    return (
        np.concatenate([pred.keypoints for pred in preds]),
        np.concatenate([pred.keypoint_scores for pred in preds]),
    )
