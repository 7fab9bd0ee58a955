"""Multi-level network of MLPE.

Shao et al., "A Multi-level Network for Human Pose Estimation", ICRA 2021: a pyramid over the
backbone's C5..C2 in the manner of CPN, with AugFPN's residual feature augmentation on C5 ("feature
enhancement") and transposed convolutions to go up. The authors' release builds every lower level
from the level above alone. Ours: adding the backbone's own features of a level to it, as feature
pyramids do (``lateral_skips``, off by default), and CPN's convolution after bilinear up-sampling.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn

from mspose_plugin.models.layers import KAIMING_INIT, conv_bn, cut, deconv_bn, resize
from mspose_plugin.utils.checks import check_choice, check_value
from mspose_plugin.utils.errors import InputError


class FeatureEnhancement(BaseModule):
    """Context of the coarsest features at several sizes, weighted at every pixel.

    AugFPN's residual feature augmentation: the features are averaged to ``ratios`` of their size,
    projected, brought back up bilinearly, and summed with weights in (0, 1) that a small network
    gives every ratio and pixel.

    Args:
        in_channels: channels of the features.
        channels: channels of the context.
        ratios: pooled size as a fraction of the features', rounded down, at
            least 1 pixel. Defaults to ``(0.1, 0.2, 0.3)``.
    """

    def __init__(
        self, in_channels: int, channels: int, ratios: Sequence[float] = (0.1, 0.2, 0.3)
    ) -> None:
        super().__init__()
        self.ratios = tuple(ratios)
        self.projections = nn.ModuleList(nn.Conv2d(in_channels, channels, 1) for _ in ratios)
        self.weights = nn.Sequential(
            nn.Conv2d(channels * len(ratios), channels, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, len(ratios), 3, padding=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return the context.

        Args:
            features: ``[B, in_channels, h, w]``, of any size.

        Returns:
            ``[B, channels, h, w]``.
        """
        height, width = size = features.shape[-2:]
        contexts = []
        for ratio, project in zip(self.ratios, self.projections):
            pooled = max(1, int(ratio * height)), max(1, int(ratio * width))
            contexts.append(resize(project(F.adaptive_avg_pool2d(features, pooled)), size))
        weights = self.weights(torch.cat(contexts, 1)).sigmoid()
        return (torch.stack(contexts, 1) * weights.unsqueeze(2)).sum(1)


@MODELS.register_module()
class MultiLevelNeck(BaseModule):
    """Levels P5..P2 of equal width from a backbone's C2..C5.

    P5 is the lateral (1x1 convolution, batch norm, ReLU) of C5 plus its feature enhancement; each
    further level is the one above, up-sampled, plus, with ``lateral_skips``, the lateral of its
    own C.

    Args:
        in_channels: channels of C2..C5. Defaults to ``(256, 512, 1024, 2048)``.
        channels: channels of every level. Defaults to 256.
        upsample: ``'deconv'``, a 4x4 transposed convolution of stride 2 with batch norm, or
            ``'bilinear'``, interpolation with aligned corners and, as in CPN (ours), a 1x1
            convolution with batch norm. Defaults to ``'deconv'``.
        lateral_skips: whether the backbone's finer features are added (ours). Without, as
            in the authors' release, their laterals are left out; the release builds all four and
            uses that of C5 alone, which makes 14,919,853 parameters in neck and head, 460,288 of
            them idle. Idle parameters only stop DistributedDataParallel. Defaults to False.
        feature_enhancement: whether P5 has the context. Defaults to True.
        ratios: of :class:`FeatureEnhancement`. Defaults to ``(0.1, 0.2, 0.3)``.
        init_cfg: as in mmengine. Defaults to :data:`~mspose_plugin.models.layers.KAIMING_INIT`.

    Raises:
        InputError: another ``upsample``, or ratios that are none.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (256, 512, 1024, 2048),
        channels: int = 256,
        upsample: str = 'deconv',
        lateral_skips: bool = False,
        feature_enhancement: bool = True,
        ratios: Sequence[float] = (0.1, 0.2, 0.3),
        init_cfg: dict | list | None = KAIMING_INIT,
    ) -> None:
        super().__init__(init_cfg)
        check_choice('MultiLevelNeck: upsample', upsample, ('deconv', 'bilinear'))
        within = len(ratios) and all(0 < r <= 1 for r in ratios)
        check_value(within, 'MultiLevelNeck: ratios', ratios, 'numbers above 0, at most 1')
        self.in_channels, self.upsample = tuple(in_channels), upsample
        # coarse to fine from here on; what is not added is not computed
        coarsest, *finer = reversed(self.in_channels)
        self.laterals = nn.ModuleList(
            nn.Sequential(*conv_bn(n, channels), nn.ReLU(inplace=True))
            for n in (coarsest, *(finer if lateral_skips else ()))
        )
        self.enhancement = (
            FeatureEnhancement(coarsest, channels, ratios) if feature_enhancement else None
        )
        deconv = upsample == 'deconv'
        self.ups = nn.ModuleList(
            nn.Sequential(*(deconv_bn(channels) if deconv else conv_bn(channels, channels)))
            for _ in finer
        )

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Compute the levels.

        Args:
            feats: C2..C5, ``[B, C, h, w]``, each about half the size of the
                one before. Where that is not exact, as for inputs that are no multiple of 32
                pixels, a level is interpolated to the size of its C, or cut to it after a
                transposed convolution.

        Returns:
            P5..P2, coarse to fine, ``[B, channels, h, w]``.

        Raises:
            InputError: another number of maps or channels, or levels that are not half as large.
        """
        channels = tuple(f.shape[1] for f in feats)
        if channels != self.in_channels:
            known = f'{channels}, or a backbone.out_indices that gives C2..C5'
            raise InputError(f'neck.in_channels={self.in_channels}: expected {known}')
        coarsest, *finer = reversed(feats)
        level = self.laterals[0](coarsest)
        if self.enhancement is not None:
            level = level + self.enhancement(coarsest)
        levels = [level]
        for i, (up, features) in enumerate(zip(self.ups, finer), 1):
            size = features.shape[-2:]
            level = up(resize(level, size)) if self.upsample == 'bilinear' else cut(up(level), size)
            if i < len(self.laterals):
                level = level + self.laterals[i](features)
            levels.append(level)
        return tuple(levels)
