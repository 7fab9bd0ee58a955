"""Multi-scale regression network (MSR-net) behind the stacked hourglass.

Ke, Chang, Qi, Lyu, "Multi-Scale Structure-Aware Network for Human Pose Estimation", ECCV 2018,
§3.2: a fully convolutional network takes the heatmaps of all scales, with the image as a kind of
attention, and regresses refined heatmaps, supervised at every scale by the structure-aware loss.
The paper does not give the network. Ours follows its ancestor, the regression sub-network of
Bulat & Tzimiropoulos (ECCV 2016): up-sampled heatmaps and the stem's features, projected by a 1x1
convolution, go through one more hourglass with a predictor per level. §1 says that it "takes output
from multiple stacks"; the last stack alone is ours, ``input_stacks`` takes more.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmpose.registry import MODELS
from torch import Tensor, nn

from mspose_plugin.models.heads.mss_head import Heatmaps, MSSHead
from mspose_plugin.models.layers import HourglassOutput, HourglassStack, check_levels
from mspose_plugin.utils.checks import check_value


@MODELS.register_module()
class MSRHead(MSSHead):
    """An :class:`MSSHead` with the regression network, whose finest heatmaps are decoded.

    Args:
        num_keypoints: K, as in the backbone. Defaults to 16 (MPII).
        levels: levels of the backbone, which are also those of the regression.
            Defaults to ``(8, 4, 2, 1)``.
        channels: width of the regression network. Defaults to 256 (ours).
        depth: depth of its hourglass. Defaults to 4 (ours).
        context_channels: channels of what the backbone returns beside the heatmaps: its
            ``channels`` for ``context='stem'``, 3 for ``context='image'`` (averaged down to the
            heatmaps' size), 0 to regress from the heatmaps alone. Defaults to 256.
        input_stacks: how many of the backbone's stacks, counted from the last, it reads the
            heatmaps of. Defaults to 1 (ours). All 8 cost 0.11 M parameters and 0.47 GMACs more
            than one, of 28.7 M and 30.7 GMACs (256x256).
        refine: False leaves the regression out, as in the first training stage; the head
            is then an :class:`MSSHead`. May be set at any time. It is saved with the weights and,
            when they are loaded to test or to resume, taken from them: a checkpoint of the first
            stage does not predict with a regression network that was never trained. Defaults to
            True.
        **kwargs: ``loss``, ``downsample``, ``decoder`` and ``init_cfg`` of :class:`MSSHead`.
    """

    keypoints_set_in = 'model.backbone.num_keypoints and model.head.num_keypoints'

    def __init__(
        self,
        num_keypoints: int = 16,
        levels: Sequence[int] = (8, 4, 2, 1),
        channels: int = 256,
        depth: int = 4,
        context_channels: int = 256,
        input_stacks: int = 1,
        refine: bool = True,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        check_levels('head.levels', levels, depth)
        self.refine, self.input_stacks = refine, input_stacks
        self.num_keypoints, self.levels = num_keypoints, tuple(levels)
        self.context_channels = context_channels
        self.regression = nn.ModuleDict(
            dict(
                project=nn.Conv2d(
                    input_stacks * len(levels) * num_keypoints + context_channels, channels, 1
                ),
                stack=HourglassStack(channels, depth, num_keypoints, levels),
            )
        )

    def get_extra_state(self) -> Tensor:
        """Return ``refine``, which decides what the weights compute, to be saved with them."""
        return torch.tensor(self.refine)

    def set_extra_state(self, state: Tensor) -> None:
        """Take ``refine`` from loaded weights, and say so where the config has it otherwise."""
        refine = bool(state)
        if refine != self.refine:
            print_log(
                f'head.refine={refine}, as these weights were trained '
                f'(the config says {self.refine})',
                'current',
            )
        self.refine = refine

    def forward(self, feats: Heatmaps | HourglassOutput) -> Heatmaps:
        """Return the heatmaps of all stacks, then the refined ones.

        Args:
            feats: output of the backbone.

        Returns:
            A tuple over stacks of tuples over levels with one more entry than the backbone's, so
            that ``[-1][-1]`` are the refined and ``[-2][-1]`` the unrefined finest heatmaps.

        Raises:
            InputError: the backbone has other levels or keypoints, fewer stacks, no context, or one
                of another width.
        """
        stacks, context = feats if isinstance(feats, HourglassOutput) else (feats, None)
        if not self.refine:
            return stacks
        height, width = size = stacks[-1][-1].shape[-2:]
        inputs = [
            h if h.shape[-2:] == size else F.interpolate(h, size)
            for stack in stacks[-self.input_stacks :]
            for h in stack
        ]
        if context is not None and self.context_channels:
            same = context.shape[-2:] == size
            inputs.append(context if same else F.adaptive_avg_pool2d(context, (height, width)))
        read = torch.cat(inputs, 1)
        levels = tuple(width // h.shape[-1] for h in stacks[-1])
        if levels != self.levels or read.shape[1] != self.regression['project'].in_channels:
            self._check_backbone(stacks, levels, context)
        _, *refined = self.regression['stack'](self.regression['project'](read))
        return (*stacks, tuple(refined))

    def _check_backbone(
        self, stacks: Heatmaps, levels: tuple[int, ...], context: Tensor | None
    ) -> None:
        """Refuse a backbone that returns something else than the regression network reads."""
        known = f'at most {len(stacks)}, as the backbone has'
        fits = self.input_stacks <= len(stacks)
        check_value(fits, 'head.input_stacks', self.input_stacks, known)
        ours, found = (self.num_keypoints, self.levels), (stacks[-1][-1].shape[1], levels)
        known = f"the backbone's {found}"
        check_value(ours == found, 'head.num_keypoints and head.levels', ours, known)
        channels = 0 if context is None else context.shape[1]
        known = f"{channels}, the channels of backbone.context (None, 'stem' or 'image')"
        fits = self.context_channels in (0, channels)
        check_value(fits, 'head.context_channels', self.context_channels, known)

    def predict_heatmaps(self, feats: Heatmaps | HourglassOutput) -> dict[str, Tensor]:
        """Return the refined ``heatmaps`` and, for inspection, those before (``mss_heatmaps``)."""
        outputs = self.forward(feats)
        unrefined = dict(mss_heatmaps=outputs[-2][-1]) if self.refine else {}
        return dict(heatmaps=outputs[-1][-1], **unrefined)

    def named_heatmaps(self, feats: Heatmaps | HourglassOutput) -> dict[str, tuple[Tensor, ...]]:
        """Return all heatmaps, the refined ones as ``'regression'``."""
        *stacks, (name, last) = super().named_heatmaps(feats).items()
        return dict([*stacks, ('regression' if self.refine else name, last)])

    def supervised(self, outputs: Heatmaps) -> dict[str, Heatmaps]:
        """Log the losses of the regression separately from the stacks'."""
        if not self.refine:
            return super().supervised(outputs)
        return dict(loss=outputs[:-1], loss_msr=outputs[-1:])
