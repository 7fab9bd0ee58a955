"""The operators of ``mmcv._ext`` that torchvision and PyTorch have, where only mmcv-lite is there.

:class:`Operators` stands in for the compiled module. Its functions take what ``mmcv.ops`` passes
to the compiled ones, which write their results into given tensors.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class UnavailableOperatorError(NotImplementedError):
    """An operator of the full mmcv was called."""


class Operators(types.ModuleType):
    """A module in which every operator exists; those that nothing replaces say so when called."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return what replaces the operator ``name``, or what says that nothing does."""
        if name.startswith('__'):
            raise AttributeError(name)
        return REPLACED.get(name) or _unavailable(name)


def _unavailable(name: str) -> Callable[..., Any]:
    def operator(*args: Any, **kwargs: Any) -> None:
        raise UnavailableOperatorError(
            f'mmcv op {name!r} is compiled code that mmcv-lite does not contain; '
            'install the full mmcv 2.1.0 (it then builds from source) to use it'
        )

    operator.__name__ = name
    return operator


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0) -> Tensor:
    """Return the indices of the kept boxes, best first.

    Args:
        boxes: corners, xyxy, [N, 4].
        scores: [N].
        iou_threshold: of two boxes that overlap more, the better one is kept.
        offset: 1 if the last pixel counts into width and height. Defaults to 0.
    """
    from torchvision.ops import nms

    if offset:
        boxes = boxes.clone()
        boxes[:, 2:] += offset
    return nms(boxes.float(), scores.float(), float(iou_threshold))


def roi_align_forward(
    input: Tensor, rois: Tensor, output: Tensor, argmax_y: Tensor, argmax_x: Tensor, **options: Any
) -> None:
    """Average the input within boxes.

    Args:
        input: [N, C, H, W].
        rois: index of the image, then corners, [R, 5].
        output: for the result, [R, C, h, w].
        argmax_y: for maximum pooling only, as argmax_x.
        argmax_x: see argmax_y.
        **options: ``aligned_height``, ``aligned_width``, ``spatial_scale``, ``sampling_ratio``,
            ``pool_mode`` (1 is the average) and ``aligned``.
    """
    from torchvision.ops import roi_align

    output.copy_(roi_align(input, rois.to(input.dtype), **_roi_options(**options)))


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    **options: Any,
) -> None:
    """Write into ``grad_input`` [N, C, H, W] the gradient of :func:`roi_align_forward`."""
    from torchvision.ops import roi_align

    with torch.enable_grad():  # linear in its input, whose values therefore do not matter
        leaf = torch.zeros_like(grad_input, requires_grad=True)
        pooled = roi_align(leaf, rois.to(leaf.dtype), **_roi_options(**options))
    grad_input.copy_(torch.autograd.grad(pooled, leaf, grad_output)[0])


def _roi_options(
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> dict[str, Any]:
    if pool_mode != 1:
        _unavailable('roi_align with pool_mode="max"')()
    return dict(
        output_size=(aligned_height, aligned_width),
        spatial_scale=spatial_scale,
        sampling_ratio=sampling_ratio,
        aligned=aligned,
    )


def ms_deform_attn_forward(
    value: Tensor,
    shapes: Tensor,
    starts: Tensor,
    locations: Tensor,
    weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """Multi-scale deformable attention on a GPU, as mmcv computes it on a CPU.

    Args:
        value: [B, keys, heads, channels].
        shapes: height and width of every level, [L, 2].
        starts: first key of every level; not needed.
        locations: x and y in 0..1, [B, queries, heads, L, points, 2].
        weights: [B, queries, heads, L, points].
        im2col_step: of the compiled operator; not needed.

    Returns:
        [B, queries, heads * channels].
    """
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    return multi_scale_deformable_attn_pytorch(value, shapes, locations, weights)


def ms_deform_attn_backward(
    value: Tensor,
    shapes: Tensor,
    starts: Tensor,
    locations: Tensor,
    weights: Tensor,
    grad_output: Tensor,
    *grads: Tensor,
    im2col_step: int,
) -> None:
    """Write into ``grads`` the gradients of ``value``, ``locations`` and ``weights``."""
    leaves = [tensor.detach().requires_grad_() for tensor in (value, locations, weights)]
    value, locations, weights = leaves
    with torch.enable_grad():
        output = ms_deform_attn_forward(value, shapes, starts, locations, weights, im2col_step)
    for given, grad in zip(grads, torch.autograd.grad(output, leaves, grad_output)):
        given.copy_(grad)


def deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    **options: Any,
) -> None:
    """Convolve with moved samples.

    Args:
        input: [B, C, H, W].
        weight: [D, C / groups, kH, kW].
        offset: y and x of every sample, [B, 2 * deformable groups * kH * kW, h, w].
        output: for the result, [B, D, h, w].
        columns: of the compiled operator; not needed, as ones.
        ones: see columns.
        **options: ``dW``, ``dH`` (stride), ``padW``, ``padH``, ``dilationW``, ``dilationH``; the
            others follow from the shapes.
    """
    output.copy_(_deform_conv(input, offset, weight, **options))


def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    weight: Tensor,
    columns: Tensor,
    **options: Any,
) -> None:
    """Write the gradients of input and offset."""
    input, offset = (tensor.detach().requires_grad_() for tensor in (input, offset))
    with torch.enable_grad():
        output = _deform_conv(input, offset, weight, **options)
    grads = torch.autograd.grad(output, (input, offset), grad_output)
    grad_input.copy_(grads[0])
    grad_offset.copy_(grads[1])


def deform_conv_backward_parameters(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_weight: Tensor,
    columns: Tensor,
    ones: Tensor,
    scale: float,
    **options: Any,
) -> None:
    """Add the gradient of the weights, times ``scale``."""
    weight = torch.zeros_like(grad_weight, requires_grad=True)  # linear in the weights
    with torch.enable_grad():
        output = _deform_conv(input, offset, weight, **options)
    grad_weight.add_(torch.autograd.grad(output, weight, grad_output)[0], alpha=scale)


def _deform_conv(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    *,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    **options: Any,
) -> Tensor:
    from torchvision.ops import deform_conv2d

    return deform_conv2d(
        input,
        offset,
        weight,
        stride=(dH, dW),
        padding=(padH, padW),
        dilation=(dilationH, dilationW),
    )


REPLACED: dict[str, Callable[..., Any]] = {
    operator.__name__: operator
    for operator in (
        nms,
        roi_align_forward,
        roi_align_backward,
        ms_deform_attn_forward,
        ms_deform_attn_backward,
        deform_conv_forward,
        deform_conv_backward_input,
        deform_conv_backward_parameters,
    )
}
"""What stands in for compiled operators, by their names."""
