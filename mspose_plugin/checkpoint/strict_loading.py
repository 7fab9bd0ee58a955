"""Strict loading: all weights fit the model, or none are loaded and the message says why.

mmengine loads the tensors that fit and logs the others, so that a network of another width or depth
goes on from random weights.

``init_cfg=dict(type='Pretrained', strict=True, …)`` is strict loading, too. The class takes the
place of mmengine's under MMPose's scope and its name, since both packages go by that word:
``BaseModule`` initialises by ``'Pretrained'`` last, by anything else first, and MMPose's ResNets
zero the last batch norm of every block after anything else.
"""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from mmengine.logging import print_log
from mmengine.model import PretrainedInit, update_init_info
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import _load_checkpoint_to_model
from mmpose.models.pose_estimators.base import BasePoseEstimator
from mmpose.registry import WEIGHT_INITIALIZERS
from torch import Tensor, nn

from mspose_plugin.checkpoint.convert import weights_of
from mspose_plugin.checkpoint.resume_checks import refuse_non_finite
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.errors import InputError

EXTRA_STATE = '_extra_state'
"""End of PyTorch's name for what a module saves beside its tensors."""
SAME_CONFIG = 'use the config that the checkpoint was trained with'
_NOT_IN_PREDICTION = re.compile(r'loss|_extra_state$')
_PARTS = ('backbone', 'neck', 'head')


def weights_in(checkpoint: Any, name: str) -> MutableMapping[str, Any]:
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
    kind = type(weights).__name__
    check(
        isinstance(weights, MutableMapping),
        f'{name} holds a {kind} in place of a state_dict; check the path',
    )
    return weights


def load_strictly(
    model: nn.Module,
    state_dict: Mapping[str, Tensor],
    name: str,
    remedy: str = SAME_CONFIG,
    extra_allowed: bool = False,
) -> list[str]:
    """Load weights into a model, all of them or none.

    A missing ``_extra_state`` (what a module notes beside its weights) is no fault: checkpoints
    from before the module noted it lack it, and the module keeps its own.

    Args:
        model: the model; its own hooks may rename old keys, as MMPose's do.
        state_dict: weights; a ``module.`` prefix is ignored.
        name: what the weights are called in the message.
        remedy: end of the message. Default: the remedy for a whole model's checkpoint.
        extra_allowed: let the weights have tensors that the model lacks. Default: False.

    Returns:
        The tensors that the model lacks.

    Raises:
        InputError: tensors missing, unexpected or of another shape; the first of each is named.
    """
    given = OrderedDict((str(k).removeprefix('module.'), v) for k, v in state_dict.items())
    # versions, by which old keys are known; an attribute, as PyTorch has it
    vars(given)['_metadata'] = getattr(state_dict, '_metadata', {})
    own = model.state_dict()
    error: Exception | None = None
    try:
        missing, extra = model.load_state_dict(given, strict=False)
    except (RuntimeError, AttributeError, TypeError) as e:
        error = e
        missing, extra = ([k for k in a if k not in b] for a, b in ((own, given), (given, own)))
    missing = [key for key in missing if not key.endswith(EXTRA_STATE)]
    if error is None and not missing and (extra_allowed or not extra):
        return extra

    def shape(tensors: Mapping, key: str) -> tuple | str:
        return tuple(getattr(tensors[key], 'shape', ())) or type(tensors[key]).__name__

    faults = {
        'missing': missing,
        'unexpected': [] if extra_allowed else extra,
        'of another shape': [k for k in own if k in given and shape(own, k) != shape(given, k)],
    }
    problems = [f'{len(v)} tensors {k}, first {v[0]}' for k, v in faults.items() if v]
    if other := faults['of another shape']:
        problems[-1] += f' (checkpoint {shape(given, other[0])}, model {shape(own, other[0])})'
    raise InputError(
        f'{name} does not fit the model: {"; ".join(problems) or error}; {remedy}'
    ) from error


def load_for_prediction(model: nn.Module, checkpoint: Any, name: str) -> None:
    """Load a checkpoint for prediction: all tensors that the model has, in their shapes.

    Tensors that the model lacks are let through where they play no part in a prediction (of a
    loss, mean and deviation of older releases' ``data_preprocessor``), and in a detector.

    Args:
        model: the model; ``strict=False`` in its ``test_cfg`` loads what fits, with
            mmengine's warning about the rest. Default: ``strict=True``.
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
    remedy = f'{SAME_CONFIG}, or set model.test_cfg.strict=False to load what fits'
    extra = load_strictly(model, weights, name, remedy, extra_allowed=True)
    if isinstance(model, BasePoseEstimator):
        used = [k for k in extra if k.startswith(_PARTS) and not _NOT_IN_PREDICTION.search(k)]
        first = ''.join(used[:1])
        check(
            not used,
            f'{name} does not fit the model: {len(used)} tensors unexpected, first {first}; '
            f'{remedy}',
        )


@WEIGHT_INITIALIZERS.register_module('Pretrained')
class CheckedPretrainedInit(PretrainedInit):
    """Initialise a module from a checkpoint that, with ``strict``, must hold all of its tensors.

    Tensors that the module has no use for, such as a classifier, are logged by name.

    Args:
        checkpoint: file or URL.
        prefix: what precedes the module's names in the file, e.g. ``'backbone.'``;
            ignored where no name of the file begins so, as in weights of a backbone alone.
            Default: None.
        map_location: device to load to. Default: ``'cpu'``.
        strict: refuse tensors that are missing or of another shape. False does as mmengine
            does, so that other configs are not affected: they keep their initialisation. Default:
            False.
        new: with ``strict``, regular expressions of the module's tensors that the
            file may lack, matched from the beginning of the name; they keep their initialisation
            and are logged. Default: none.

    Examples:
        >>> backbone = dict(type='ResNeSt', depth=50, init_cfg=dict(
        ...     type='Pretrained', checkpoint='resnest50.pth', prefix='backbone.', strict=True))
    """

    def __init__(
        self,
        checkpoint: str,
        prefix: str | None = None,
        map_location: str = 'cpu',
        strict: bool = False,
        new: Sequence[str] = (),
    ) -> None:
        super().__init__(checkpoint, prefix, map_location)
        self.strict = strict
        self.new = tuple(new)

    def __call__(self, module: nn.Module) -> None:
        """Load.

        Args:
            module: the module to initialise.

        Raises:
            InputError: tensors missing or of another shape.
        """
        if not self.strict:
            super().__call__(module)
            return
        kind, name = type(module).__name__, f'init_cfg: checkpoint {self.checkpoint}'
        checkpoint = CheckpointLoader.load_checkpoint(self.checkpoint, self.map_location)
        state = weights_of(checkpoint, name)
        prefix = f'{self.prefix.rstrip(".")}.' if self.prefix else ''
        inner = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        state = inner or state
        kept = {
            key: value
            for key, value in module.state_dict().items()
            if key not in state and any(re.match(pattern, key) for pattern in self.new)
        }
        if kept:
            print_log(
                f'{len(kept)} tensors of {kind} are not in {self.checkpoint} and keep their '
                f'initialisation: {", ".join(kept)}',
                'current',
            )
        remedy = _remedy(checkpoint, kind)
        extra = load_strictly(module, {**state, **kept}, name, remedy, extra_allowed=True)
        if extra:
            print_log(
                f'{len(extra)} tensors of {self.checkpoint} have no place in {kind}: '
                f'{", ".join(extra)}',
                'current',
                logging.WARNING,
            )
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=self._get_init_info())


def _remedy(checkpoint: Mapping[str, Any], kind: str) -> str:
    """What to change; the converter has noted it in the files it wrote."""
    meta = checkpoint.get('meta')
    cfg = meta.get('backbone') if isinstance(meta, Mapping) else None
    if isinstance(cfg, Mapping):
        entries = ', '.join(f'{key}={value!r}' for key, value in cfg.items())
        return f'these are weights of dict({entries}), which the config entry must agree with'
    return (
        f'give {kind} the sizes of these weights (for a ResNet or its kin depth and '
        'stem_channels), or init_cfg strict=False to start from what fits'
    )
