"""Published PyTorch weights under the names of the networks that MMPose builds.

``layouts.py`` says how each publication names its modules; :func:`convert` does the rest for all
of them: every tensor of the source is used or dropped by name, every tensor of the target is
filled or new by name, and every shape is compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from mspose_plugin.checkpoint.layouts import LAYOUTS, State
from mspose_plugin.utils.errors import InputError


@dataclass
class Converted:
    """Weights in our names, with an account of every tensor.

    Attributes:
        layout: name of the layout.
        backbone: config of the backbone that the weights fit.
        state_dict: the weights, ``backbone.`` before every name.
        dropped: tensors of the source that the target has no use for.
        new: tensors of the target that no source tensor was meant for, initialised.
        counters: batch-norm counters that the source lacks, set to 0.
    """

    layout: str
    backbone: dict[str, Any]
    state_dict: dict[str, Tensor] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    counters: list[str] = field(default_factory=list)

    def checkpoint(self) -> dict[str, Any]:
        """Return the weights as a checkpoint whose ``meta`` says what they are and fit."""
        meta = dict(converted_from=LAYOUTS[self.layout].source, backbone=self.backbone)
        return dict(meta=meta, state_dict=self.state_dict)


def weights_of(checkpoint: Any) -> dict[str, Tensor]:
    """Take the weights out of a checkpoint and the wrappers' names off them.

    Args:
        checkpoint: a state dict, or a dict that holds one as ``state_dict``.

    Returns:
        The weights; ``module.`` (DataParallel) and ``model.`` (a trainer) are
        removed where all names begin so.

    Raises:
        InputError: no dict of tensors.
    """
    state = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, Mapping) else None
    if not isinstance(state, Mapping) or not state:
        raise InputError(
            'the file holds no weights; expected a state dict, or a dict with one as \'state_dict\''
        )
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise InputError(
                f'the entry {key!r} of the weights is no tensor but '
                f'{type(value).__name__}; expected a state dict'
            )
    state = dict(state)
    while first := next(
        (p for p in ('module.', 'model.') if all(k.startswith(p) for k in state)), None
    ):
        state = {key.removeprefix(first): value for key, value in state.items()}
    return state


def detect(state: State) -> str:
    """Return the name of the layout that ``state`` is of.

    Args:
        state: weights without wrappers' names (:func:`weights_of`).

    Returns:
        A key of :data:`LAYOUTS`.

    Raises:
        InputError: none of them, or more than one.
    """
    found = [name for name, layout in LAYOUTS.items() if layout.marker in state]
    if len(found) != 1:
        raise InputError(
            f'the weights (first tensor: {next(iter(state))}) have the names of '
            f'{" and ".join(found) or "no layout that is known"}; there are '
            f'{", ".join(LAYOUTS)}, see --layout'
        )
    return found[0]


def convert(checkpoint: Any, layout: str = 'auto', **options: Any) -> Converted:
    """Turn published weights into those of a backbone that MMPose builds.

    Args:
        checkpoint: the checkpoint as loaded, see :func:`weights_of`.
        layout: a key of :data:`LAYOUTS`, or ``'auto'`` to tell it from the names.
            Defaults to ``'auto'``.
        **options: what to choose of the backbone, where the layout has a choice
            (``Layout.options``). ``levels`` (Sequence[int]): supervised levels of the hourglass.
            The publications have the finest only, which is the default; the others' predictors
            are initialised.

    Returns:
        The weights and what became of every tensor.

    Raises:
        InputError: tensors unknown, missing or of another shape, all of them are named; an option
            that the layout does not have.
    """
    state = weights_of(checkpoint)
    name = detect(state) if layout == 'auto' else layout
    if name not in LAYOUTS:
        raise InputError(f'layout {name!r} is unknown; there are {", ".join(LAYOUTS)}')
    rules = LAYOUTS[name]
    refused = [option for option in options if option not in rules.options]
    if refused:
        raise InputError(
            f'the layout {name} takes no option {", ".join(refused)}; it takes '
            f'{", ".join(rules.options) or "none"}'
        )
    result = Converted(name, {**rules.backbone(state), **options})
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)  # the predictors of extra levels
        model: nn.Module = MODELS.build(result.backbone)
    target = model.state_dict()
    filled, unknown, shapes = {}, [], []
    modules = dict(rules.modules(result.backbone))
    for key, value in state.items():
        module, _, kind = key.rpartition('.')
        ours = f'{modules.get(module)}.{kind}'
        if ours in target:
            filled[ours] = value
            if value.shape != target[ours].shape:
                shapes.append(f'{key} {tuple(value.shape)} for {ours} {tuple(target[ours].shape)}')
        elif rules.idle and module in modules and module.endswith(rules.idle):
            result.dropped.append(key)
        else:
            unknown.append(key)
    theirs = {ours: source for source, ours in modules.items()}
    missing = []
    for ours in target:
        if ours not in filled:
            module, _, kind = ours.rpartition('.')
            (
                result.new
                if module not in theirs
                else result.counters
                if kind == 'num_batches_tracked'
                else missing
            ).append(ours)
    missing = [f'{theirs[m]}.{kind}' for m, _, kind in (key.rpartition('.') for key in missing)]
    problems = [
        f'{len(keys)} tensors {what}: {", ".join(keys)}'
        for what, keys in (('unknown', unknown), ('missing', missing), ('of another shape', shapes))
        if keys
    ]
    if problems:
        raise InputError(
            f'the weights do not fit the layout {name} with {result.backbone}: '
            f'{"; ".join(problems)}'
        )
    result.state_dict = {
        f'backbone.{key}': filled[key].to(value.dtype) if key in filled else value
        for key, value in target.items()
    }
    return result
