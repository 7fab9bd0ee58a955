"""Whether weights fit a model: all of them, or none are loaded, and the message says why."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from mmengine.runner.checkpoint import _load_checkpoint_to_model
from mmpose.models.pose_estimators.base import BasePoseEstimator
from torch import Tensor, nn

from mspose_plugin.checkpoint.resume_checks import refuse_non_finite
from mspose_plugin.utils.errors import InputError

EXTRA_STATE = '_extra_state'
"""End of PyTorch's name for what a module saves beside its tensors."""
REMEDY = (
    'use the config that the checkpoint was trained with, or set model.test_cfg.strict=False '
    'to load what fits'
)
_NOT_IN_PREDICTION = re.compile(r'loss|_extra_state$')
_PARTS = ('backbone', 'neck', 'head')


def weights_in(checkpoint: Any, name: str) -> Mapping[str, Any]:
    """Return the state dict that a checkpoint holds, or is.

    Args:
        checkpoint: what was read from the file.
        name: what it is called in the message.

    Raises:
        InputError: neither.
    """
    weights = checkpoint
    if isinstance(checkpoint, Mapping):
        weights = checkpoint.get('state_dict', checkpoint)
    if not isinstance(weights, Mapping):
        raise InputError(
            f'{name} holds a {type(weights).__name__} in place of a state_dict; check the path'
        )
    return weights


def load_fitting(
    model: nn.Module,
    state_dict: Mapping[str, Tensor],
    name: str,
    remedy: str = 'use the config that the checkpoint was trained with',
    extra_allowed: bool = False,
) -> list[str]:
    """Load weights into a model, all of them or none.

    Args:
        model: the model; its own hooks may rename old keys, as MMPose's do.
        state_dict: weights; a ``module.`` prefix is ignored.
        name: what the weights are called in the message.
        remedy: end of the message. Defaults to the remedy for a whole model's checkpoint.
        extra_allowed: let the weights have tensors that the model lacks. Defaults to False.

    A missing ``_extra_state`` (what a module notes beside its weights) is no fault: checkpoints
    from before the module noted it lack it, and the module keeps its own.

    Returns:
        The tensors that the model lacks.

    Raises:
        InputError: tensors missing, unexpected or of another shape; the first of each is named.
    """
    given = OrderedDict((str(k).removeprefix('module.'), v) for k, v in state_dict.items())
    given._metadata = getattr(state_dict, '_metadata', {})  # versions, by which old keys are known
    own = model.state_dict()
    try:
        missing, extra = model.load_state_dict(given, strict=False)
        missing = [key for key in missing if not key.endswith(EXTRA_STATE)]
        if not missing and (extra_allowed or not extra):
            return extra
        error = None
    except (RuntimeError, AttributeError, TypeError) as e:
        missing = [k for k in own if k not in given and not k.endswith(EXTRA_STATE)]
        extra = [k for k in given if k not in own]
        error = e

    def shape(tensors: Mapping, key: str) -> tuple | str:
        return tuple(getattr(tensors[key], 'shape', ())) or type(tensors[key]).__name__

    problems = []
    for what, keys in (
        ('missing', missing),
        ('unexpected', [] if extra_allowed else extra),
        ('of another shape', [k for k in own if k in given and shape(own, k) != shape(given, k)]),
    ):
        if keys:
            sizes = (
                f' (checkpoint {shape(given, keys[0])}, model {shape(own, keys[0])})'
                if what == 'of another shape'
                else ''
            )
            problems.append(f'{len(keys)} tensors {what}, first {keys[0]}{sizes}')
    raise InputError(
        f'{name} does not fit the model: {"; ".join(problems) or error}; {remedy}'
    ) from error


def load_for_prediction(model: nn.Module, checkpoint: Any, name: str) -> None:
    """Load a checkpoint for prediction: all tensors that the model has, in their shapes.

    Tensors that the model lacks are let through where they play no part in a prediction (of a
    loss, mean and deviation of older releases' ``data_preprocessor``), and in a detector.

    Args:
        model: the model; ``strict=False`` in its ``test_cfg`` loads what fits, with
            mmengine's warning about the rest. Defaults to ``strict=True``.
        checkpoint: what was read from the file.
        name: what the checkpoint is called in messages.

    Raises:
        InputError: not a checkpoint; tensors missing, of another shape, of another architecture or
            not finite.
    """
    weights = weights_in(checkpoint, name)
    refuse_non_finite(weights, name, model)
    if not (getattr(model, 'test_cfg', None) or {}).get('strict', True):
        _load_checkpoint_to_model(model, checkpoint)
        return
    extra = load_fitting(model, weights, name, REMEDY, extra_allowed=True)
    if isinstance(model, BasePoseEstimator):
        extra = [
            key for key in extra if key.startswith(_PARTS) and not _NOT_IN_PREDICTION.search(key)
        ]
        if extra:
            raise InputError(
                f'{name} does not fit the model: {len(extra)} tensors unexpected, '
                f'first {extra[0]}; {REMEDY}'
            )
