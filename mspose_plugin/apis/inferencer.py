"""MMPose's inferencer, for the options and the files of this package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmpose.apis.inference import dataset_meta_from_config
from mmpose.apis.inferencers import Pose2DInferencer
from torch import nn

from mspose_plugin.export.network import ExportedNetwork
from mspose_plugin.models.pose_estimators import ConditionalTopdownPoseEstimator
from mspose_plugin.utils.checks import check_choice

_PLAIN, _CONDITIONAL = 'TopdownPoseEstimator', ConditionalTopdownPoseEstimator.__name__


class TopdownInferencer(Pose2DInferencer):
    """MMPose's inferencer with other options of testing, and of exported files.

    Args:
        *args: as MMPose's.
        test_cfg: entries of the model's ``test_cfg`` that differ from the config's.
        **kwargs: as MMPose's.
    """

    def __init__(self, *args: Any, test_cfg: dict[str, Any], **kwargs: Any) -> None:
        self._test_cfg = test_cfg
        super().__init__(*args, **kwargs)

    def _init_model(self, cfg: Config, weights: str | None, device: str = 'cpu') -> nn.Module:
        cfg.data_mode = cfg.get('data_mode', 'topdown')  # which MMPose's inferencer reads
        check_choice('data_mode of the model', cfg.data_mode, ['topdown'])
        model = cfg.model
        model.test_cfg = {**(model.get('test_cfg') or {}), **self._test_cfg}
        if {'conditional', 'multi_scale'} & set(self._test_cfg):
            # any top-down network; this estimator reads its options when it is built
            check_choice('type of the model', model.type, [_PLAIN, _CONDITIONAL])
            model.type = _CONDITIONAL
            pipeline = cfg.test_dataloader.dataset.pipeline
            if not any(step.type == 'KeepOriginalImage' for step in pipeline):
                pipeline.insert(0, dict(type='KeepOriginalImage'))
        return super()._init_model(cfg, weights, device)

    def _load_weights_to_model(self, model: nn.Module, checkpoint: dict | None, cfg: Any) -> None:
        if isinstance(model.backbone, ExportedNetwork):  # the file has its weights in it
            model.dataset_meta = dataset_meta_from_config(cfg)
            return
        if isinstance(checkpoint, dict) and 'dataset_meta' not in checkpoint.get('meta', {}):
            # the config says it, which is no reason to warn
            meta = dict(checkpoint.get('meta', {}), dataset_meta=dataset_meta_from_config(cfg))
            checkpoint = dict(state_dict=checkpoint.get('state_dict', checkpoint), meta=meta)
        super()._load_weights_to_model(model, checkpoint, cfg)

    def _init_collate(self, cfg: Config) -> Callable:
        if 'collate_fn' in cfg.test_dataloader:
            return super()._init_collate(cfg)
        return pseudo_collate  # where it has to look for one, mmengine warns
