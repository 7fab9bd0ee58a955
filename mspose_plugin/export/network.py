"""An exported file as a pose estimator: MMPose's pipeline, flip test, codecs and metrics as ever.

The backbone runs the file, the head passes its outputs on to what MMPose and this project have for
them. Nothing of the exported model's code is needed.
"""

from __future__ import annotations

from typing import Any

from mmengine.config import Config
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from mmpose.models.heads import BaseHead, SimCCHead
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import Tensor

from mspose_plugin.export.description import Description
from mspose_plugin.export.files import ExportedFile
from mspose_plugin.models.heads.base_heatmap_head import BaseHeatmapHead
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.errors import InputError

_FLIP = ('flip_test', 'flip_mode', 'shift_heatmap')


@MODELS.register_module()
class ExportedNetwork(BaseModule):
    """A backbone that runs an exported file, whose head's outputs are its features.

    Args:
        path: the file.
        trust_code: see :class:`~mspose_plugin.export.files.ExportedFile`. Default: False.
        init_cfg: as in mmengine. Default: None.

    Raises:
        InputError: the file cannot be used.
    """

    def __init__(self, path: str, trust_code: bool = False, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.file = ExportedFile(path, trust_code)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Run the file.

        Args:
            images: ``[B, 3, H, W]`` from the data preprocessor that goes with the file.

        Raises:
            InputError: images of another size than it takes.
        """
        described = self.file.description
        size, wanted = tuple(images.shape[:1:-1]), described.input_size
        check(
            size == wanted,
            f'{self.file.path}: takes images of {wanted[0]}x{wanted[1]} pixels, the config makes '
            f'{size[0]}x{size[1]}; use the config that it was exported with',
        )
        return self.file(graph_input(described, images))


def graph_input(described: Description, images: Tensor) -> Tensor:
    """Return images ``[B, 3, H, W]`` as a graph takes them.

    Args:
        described: the graph.
        images: from the data preprocessor that goes with it.
    """
    if described.input == 'normalized':
        return images
    return images.round().clamp(0, 255).byte().permute(0, 2, 3, 1)


class _Untrained:
    """What a head needs to be one."""

    def forward(self, feats: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the file's outputs."""
        return feats

    def loss(self, *args: Any, **kwargs: Any) -> dict:
        """Refuse to train."""
        raise InputError('an exported file cannot be trained; use the checkpoint')


@MODELS.register_module()
class ExportedHeatmapHead(_Untrained, BaseHeatmapHead):
    """Heatmaps of an exported file.

    Args:
        decoder: the file's codec.
    """

    keypoints_set_in = 'number of keypoints in the exported file'

    def predict_heatmaps(self, feats: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Return the heatmaps."""
        return dict(heatmaps=feats[0])


@MODELS.register_module()
class ExportedSimccHead(_Untrained, BaseHeatmapHead):
    """Outputs along x and y of an exported file, predicted from as by MMPose's ``SimCCHead``.

    Args:
        decoder: the file's codec.
    """

    predict = SimCCHead.predict


@MODELS.register_module()
class ExportedKeypointHead(_Untrained, BaseHead):
    """Keypoints that an exported file has decoded."""

    decoder = None

    def predict(
        self,
        feats: tuple[Tensor, ...],
        batch_data_samples: list[PoseDataSample],
        test_cfg: dict | None = None,
    ) -> list[InstanceData]:
        """Return the keypoints in input pixels.

        Args:
            feats: keypoints ``[B, K, 2]`` and scores ``[B, K]``.
            batch_data_samples: the batch.
            test_cfg: may ask for nothing.

        Raises:
            InputError: heatmaps or a flip test are asked for.
        """
        wanted = [k for k in ('flip_test', 'output_heatmaps') if (test_cfg or {}).get(k)]
        check(not wanted, f'test_cfg.{"".join(wanted[:1])}: {NO_HEATMAPS}')
        keypoints, scores = (part.float().cpu().numpy() for part in feats)
        return [
            InstanceData(keypoints=k[None], keypoint_scores=s[None])
            for k, s in zip(keypoints, scores)
        ]


NO_HEATMAPS = 'the exported file decodes keypoints itself; export one with --output heatmaps'
_HEADS = dict(
    heatmaps='ExportedHeatmapHead', simcc='ExportedSimccHead', keypoints='ExportedKeypointHead'
)


def model_config(path: str, trust_code: bool = False, **test_cfg: Any) -> dict[str, Any]:
    """Return the model entry of a config that runs an exported file.

    Args:
        path: the file.
        trust_code: see :class:`~mspose_plugin.export.files.ExportedFile`. Default: False.
        **test_cfg: goes before the file's; flip testing is left out where the file does it.

    Raises:
        InputError: the file cannot be used.
    """
    return _model(ExportedFile(path, trust_code).description, path, trust_code, test_cfg)


def _model(
    described: Description, path: str, trust_code: bool, test_cfg: dict[str, Any]
) -> dict[str, Any]:
    head: dict[str, Any] = dict(type=_HEADS[described.output])
    options = {**described.test_cfg, **test_cfg}
    if any(described.border):
        options.setdefault('border', described.border)
    if described.output == 'keypoints':
        options = {key: value for key, value in options.items() if key not in _FLIP}
    else:
        head['decoder'] = described.codec
    return dict(
        type='ConditionalTopdownPoseEstimator',
        data_preprocessor=described.preprocessor(),
        backbone=dict(type='ExportedNetwork', path=path, trust_code=trust_code),
        head=head,
        test_cfg=options,
    )


def file_config(path: str, trust_code: bool = False) -> Config:
    """Return a config for inferencers that runs an exported file.

    Args:
        path: the file.
        trust_code: see :class:`~mspose_plugin.export.files.ExportedFile`. Default: False.

    Raises:
        InputError: the file cannot be used.
    """
    described = ExportedFile(path, trust_code).description
    loader = dict(dataset=dict(metainfo=described.metainfo(), pipeline=described.pipeline()))
    return Config(
        dict(
            model=_model(described, path, trust_code, {}),
            train_dataloader=loader,
            test_dataloader=loader,
            visualizer=dict(type='PoseLocalVisualizer'),
            dataset_type='CocoDataset',  # from which MMPose tells that detectors look for people
            default_scope='mmpose',
            data_mode='topdown',
        )
    )
