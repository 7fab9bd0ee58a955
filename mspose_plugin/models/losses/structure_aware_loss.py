"""Structure-aware loss of MSSPose.

Ke, Chang, Qi, Lyu, "Multi-Scale Structure-Aware Network for Human Pose Estimation", ECCV 2018,
§3.3, Eq. 2: to the squared error of every keypoint's heatmap, add the error of every keypoint
taken together with its neighbours in the skeleton. With residual D = P - G, target weights w and
S_n keypoint n with its neighbours, per heatmap (level) of a batch::

    L = mean_b 1/N sum_n w_n |D_n|^2  +  alpha * mean_b 1/N sum_n | sum_{m in S_n} w_m D_m |^2

|.| is the Euclidean norm over pixels. Ours: the squares (``norm='mse'``; the equations as printed
have none: ``norm='l2'``), and the 1/N of the second term, which Eq. 2 has on the first alone, so
that our alpha is N times the paper's for the same balance. The paper does not say how the members
of a group combine (``combine='sum'``, ours; ``'max'`` compares the maxima over the labelled
members). Pixels are summed, not averaged (Eq. 1), so that levels of different resolution weigh
alike.

Because the sum is linear, both terms of the default come from one Gram matrix <D_n, D_m> per
sample: no loop over keypoints, no ``[B, K, H, W]`` tensor beside the residual.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import MODELS
from torch import Tensor, nn

from mspose_plugin.skeletons import GROUPS, groups_of
from mspose_plugin.utils.checks import check, check_choice, check_number, check_value, refused
from mspose_plugin.utils.errors import InputError

_NAME = 'StructureAwareLoss'


class _QuadraticForm(torch.autograd.Function):
    """sum_nm Q_nm <D_n, D_m>: one Gram matrix forward, its gradient 2 Q D one product backward.

    Autograd's own backward of the Gram matrix would multiply twice and add.
    """

    @staticmethod
    def forward(ctx, residual: Tensor, form: Tensor) -> Tensor:
        ctx.save_for_backward(residual, form)
        return (form * (residual @ residual.mT)).sum()

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        residual, form = ctx.saved_tensors  # the form is symmetric
        return (2 * grad * form) @ residual, None


class _GroupMaximum(torch.autograd.Function):
    """Pixel-wise maximum over the members of each group: ``[B, K, P]`` to ``[B, N, P]``.

    ``columns`` ``[W, N]`` holds the members of every group, repeated where one has fewer than W.
    Autograd's own backward would mask with booleans, ten times as slow on a CPU as the
    arithmetic used here.
    """

    @staticmethod
    def forward(ctx, heatmaps: Tensor, columns: Tensor) -> Tensor:
        best = heatmaps.index_select(1, columns[0])
        member = torch.empty_like(best)  # one for all columns: new memory costs more than a sum
        for column in columns[1:]:
            torch.maximum(best, torch.index_select(heatmaps, 1, column, out=member), out=best)
        ctx.save_for_backward(heatmaps, best, columns)
        return best

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        heatmaps, best, columns = ctx.saved_tensors
        total, rest, share = torch.zeros_like(heatmaps), grad.clone(), torch.empty_like(grad)
        for column in columns:
            torch.index_select(heatmaps, 1, column, out=share).eq_(best).mul_(rest)
            total.index_add_(1, column, share)
            rest.sub_(share)  # of equal members, a repeated one among them, the first has it all
        return total, None


@MODELS.register_module()
class StructureAwareLoss(nn.Module):
    """Heatmap loss of each keypoint plus that of each keypoint with its skeleton neighbours.

    Args:
        skeleton: name of a graph in :data:`mspose_plugin.skeletons.GROUPS`:
            ``'mpii'``, ``'coco'`` or ``'flic'``; or a data set's metainfo as MMPose's configs have
            it (``dataset_info``), whose bones are the graph. Defaults to None.
        groups: the groups S_n themselves, one per keypoint, as indices of keypoints; instead of
            ``skeleton``. Defaults to None. Neither is needed where ``alpha`` is 0.
        alpha: weight of the structural term; 0 is the plain multi-scale loss. The paper
            gives no value. Defaults to 0.0.
        norm: ``'mse'`` squared norms, ``'l2'`` norms. Defaults to ``'mse'``.
        combine: ``'sum'`` or ``'max'`` of a group's heatmaps. Defaults to ``'sum'``.
        loss_weight: factor of the whole. Defaults to 1.0.

    Raises:
        InputError: unknown names, or groups missing or naming keypoints that do not exist.
    """

    membership: Tensor
    columns: Tensor

    def __init__(
        self,
        skeleton: str | Mapping[str, Any] | None = None,
        groups: Sequence[Sequence[int]] | Mapping[int, Sequence[int]] | None = None,
        alpha: float = 0.0,
        norm: str = 'mse',
        combine: str = 'sum',
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        check_choice(f'{_NAME}: norm', norm, ('mse', 'l2'))
        check_choice(f'{_NAME}: combine', combine, ('sum', 'max'))
        check_number(f'{_NAME}: alpha', alpha, 0)
        self.alpha, self.norm, self.combine = alpha, norm, combine
        self.loss_weight = loss_weight
        # the groups S_n as lists of keypoint indices
        given = alpha or skeleton is not None or groups is not None
        self.groups = _groups(skeleton, groups) if given else []
        width = max(map(len, self.groups), default=0)
        membership = torch.zeros(len(self.groups), len(self.groups))
        for n, group in enumerate(self.groups):
            membership[n, group] = 1
        # [N, N], row n holds 1 for the members of S_n; not part of a checkpoint
        self.register_buffer('membership', membership, persistent=False)
        # [W, N], the first to the last member of every group, the last one again where it is short
        self.register_buffer(
            'columns',
            torch.tensor(
                [[g[min(i, len(g) - 1)] for g in self.groups] for i in range(width)],
                dtype=torch.long,
            ),
            persistent=False,
        )

    def forward(
        self, output: Tensor, target: Tensor, target_weights: Tensor | None = None
    ) -> Tensor:
        """Compute the loss, in float32 (or float64 for such input) also under autocast.

        Args:
            output: predicted heatmaps ``[B, K, H, W]``.
            target: ground-truth heatmaps ``[B, K, H, W]``.
            target_weights: ``[B, K]``, 0 for unlabelled keypoints, which then
                take part in no group. Defaults to None (all 1).

        Returns:
            The loss, a scalar.

        Raises:
            InputError: shapes that do not agree, or a skeleton of another size.
        """
        batch, keypoints = output.shape[:2]
        given = None if target_weights is None else tuple(target_weights.shape)
        if target.shape != output.shape or given not in (None, (batch, keypoints)):
            shapes = f'output {tuple(output.shape)}, target {tuple(target.shape)}'
            known = '[B, K, H, W] twice and [B, K]'
            raise InputError(f'{_NAME}: {shapes}, target_weights {given}: expected {known}')
        if self.alpha and len(self.groups) != keypoints:
            known = f'{keypoints}, one for each keypoint of the data; see skeleton and groups'
            raise InputError(f'{_NAME}: number of groups={len(self.groups)}: expected {known}')
        with torch.autocast(output.device.type, enabled=False):
            dtype = torch.promote_types(output.dtype, torch.float32)
            output, target = output.to(dtype).flatten(2), target.to(dtype).flatten(2)
            weights = (
                output.new_ones(output.shape[:2])
                if target_weights is None
                else target_weights.to(dtype)
            )
            residual = output - target
            if self.alpha and (self.norm, self.combine) == ('mse', 'sum'):
                return _QuadraticForm.apply(residual, self._form(weights)) * self.loss_weight
            loss = (weights * self._norm(torch.linalg.vecdot(residual, residual))).mean()
            if self.alpha:
                loss = loss + self.alpha * self._structural(output, target, residual, weights)
            return loss * self.loss_weight

    def _form(self, weights: Tensor) -> Tensor:
        """Return Q ``[B, K, K]`` with which both terms together are sum_nm Q_nm <D_n, D_m>."""
        meetings = (self.membership.mT @ self.membership).to(weights.dtype)
        structural = self.alpha * meetings * weights[:, :, None] * weights[:, None]
        return (torch.diag_embed(weights) + structural) / weights.numel()

    def _norm(self, square: Tensor) -> Tensor:
        if self.norm == 'mse':
            return square
        # the square root has no slope at 0: a perfect heatmap gets gradient 0, not NaN
        return torch.where(square > 0, square, 1).sqrt() * (square > 0)

    def _structural(
        self, output: Tensor, target: Tensor, residual: Tensor, weights: Tensor
    ) -> Tensor:
        if self.combine == 'max':
            # Lowers unlabelled keypoints to the smallest number, so that they are no group's
            # maximum; a group without any other has it twice, which differs by 0.
            lowered = (weights <= 0).to(output.dtype)[..., None] * torch.finfo(output.dtype).min
            difference = _GroupMaximum.apply(output + lowered, self.columns) - _GroupMaximum.apply(
                target + lowered, self.columns
            )
            square = torch.linalg.vecdot(difference, difference)
        else:
            gram = residual @ residual.mT  # [B, K, K]
            selected = self.membership.to(output.dtype) * weights[:, None]  # [B, N, K]
            square = torch.einsum('bnk,bkm,bnm->bn', selected, gram, selected)
        # rounding may leave a tiny negative number where residuals cancel
        return self._norm(square.clamp(min=0)).mean()


def _groups(
    skeleton: str | Mapping[str, Any] | None,
    groups: Sequence[Sequence[int]] | Mapping[int, Sequence[int]] | None,
) -> list[list[int]]:
    """Return the groups S_n, sorted."""
    one = (skeleton is None) != (groups is None)
    check(one, f'{_NAME}: give either skeleton or groups when alpha > 0')
    if isinstance(skeleton, Mapping):
        with refused(f'{_NAME}: skeleton is not the metainfo of a data set (dataset_info)'):
            info = parse_pose_metainfo(dict(skeleton))
        groups = groups_of(info['skeleton_links'], info['num_keypoints'])
    elif skeleton is not None:
        check_choice(f'{_NAME}: skeleton', skeleton, GROUPS)
        groups = GROUPS[skeleton]
    members = groups if isinstance(groups, Mapping) else dict(enumerate(groups or ()))
    keypoints = range(len(members))
    for n in keypoints:
        group = tuple(members.get(n, ()))
        known = f'some of the keypoints 0 to {keypoints[-1]}'
        fits = group and set(group) <= set(keypoints)
        check_value(fits, f'{_NAME}: group {n}', group, known)
    return [sorted(set(members[n])) for n in keypoints]
