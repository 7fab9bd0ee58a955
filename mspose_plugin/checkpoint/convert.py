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
from torch import Tensor

from mspose_plugin.checkpoint.layouts import LAYOUTS, State
from mspose_plugin.utils.checks import check


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


def weights_of(checkpoint: Any, name: str = 'the file') -> dict[str, Tensor]:
    """Take the weights out of a checkpoint and the wrappers' names off them.

    Args:
        checkpoint: a state dict, or a dict that holds one as ``state_dict``.
        name: what it is called in the message. Default: ``'the file'``.

    Returns:
        The weights; ``module.`` (DataParallel) and ``model.`` (a trainer) are
        removed where all names begin so.

    Raises:
        InputError: no dict of tensors.
    """
    is_dict = isinstance(checkpoint, Mapping)
    state: Any = checkpoint.get('state_dict', checkpoint) if is_dict else None
    check(
        isinstance(state, Mapping) and state,
        f"{name} holds no weights; expected a state dict, or a dict with one as 'state_dict'",
    )
    for key, value in state.items():
        check(
            isinstance(key, str) and isinstance(value, Tensor),
            f'{name}: the entry {key!r} of the weights is no tensor but {type(value).__name__}; '
            'expected a state dict',
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
    check(
        len(found) == 1,
        f'the weights (first tensor: {next(iter(state))}) have the names of '
        f'{" and ".join(found) or "no layout that is known"}; there are {", ".join(LAYOUTS)}, '
        'see --layout',
    )
    return found[0]


def convert(checkpoint: Any, layout: str = 'auto', **options: Any) -> Converted:
    """Turn published weights into those of a backbone that MMPose builds.

    Args:
        checkpoint: the checkpoint as loaded, see :func:`weights_of`.
        layout: a key of :data:`LAYOUTS`, or ``'auto'`` to tell it from the names.
            Default: ``'auto'``.
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
    check(name in LAYOUTS, f'layout {name!r} is unknown; there are {", ".join(LAYOUTS)}')
    rules = LAYOUTS[name]
    wrong, known = set(options) - set(rules.options), ', '.join(rules.options) or 'none'
    check(not wrong, f'the layout {name} takes no option {", ".join(wrong)}; it takes {known}')

    result = Converted(name, {**rules.backbone(state), **options})
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)  # the predictors of extra levels
        target: dict[str, Tensor] = MODELS.build(result.backbone).state_dict()
    ours = dict(rules.modules(result.backbone))  # module names, theirs -> ours
    theirs = {our: their for their, our in ours.items()}
    filled: dict[str, Tensor] = {}
    faults: dict[str, list[str]] = {'unknown': [], 'missing': [], 'of another shape': []}
    for key, value in state.items():
        module, _, kind = key.rpartition('.')
        place = f'{ours.get(module)}.{kind}'
        if place in target:
            filled[place] = value
            if value.shape != target[place].shape:
                shapes = f'{tuple(value.shape)} for {place} {tuple(target[place].shape)}'
                faults['of another shape'].append(f'{key} {shapes}')
        elif rules.idle and module in ours and module.endswith(rules.idle):
            result.dropped.append(key)
        else:
            faults['unknown'].append(key)
    for place in target:
        module, _, kind = place.rpartition('.')
        if place in filled:
            continue
        if module not in theirs:
            result.new.append(place)
        elif kind == 'num_batches_tracked':
            result.counters.append(place)
        else:
            faults['missing'].append(f'{theirs[module]}.{kind}')
    problems = [f'{len(v)} tensors {k}: {", ".join(v)}' for k, v in faults.items() if v]
    check(
        not problems,
        f'the weights do not fit the layout {name} with {result.backbone}: {"; ".join(problems)}',
    )
    result.state_dict = {
        f'backbone.{key}': filled[key].to(value.dtype) if key in filled else value
        for key, value in target.items()
    }
    return result


def output_difference(checkpoint: Any, result: Converted) -> float | None:
    """Run the published network and the converted one on the same noise.

    Args:
        checkpoint: what was converted.
        result: from :func:`convert`.

    Returns:
        The largest difference between their outputs, relative to the largest output; None where
        the published network is not known (``Layout.reference``).
    """
    reference, state = LAYOUTS[result.layout].reference, weights_of(checkpoint)
    if reference is None:
        return None
    theirs, ours = reference(result.backbone).eval(), MODELS.build(result.backbone).eval()
    own = theirs.state_dict()
    if any(key not in own or own[key].shape != value.shape for key, value in state.items()):
        return None  # a stem of another width
    theirs.load_state_dict(state, strict=False)  # counters may be missing
    ours.load_state_dict({k.removeprefix('backbone.'): v for k, v in result.state_dict.items()})
    side = 4 << result.backbone['depth']
    image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        pairs = [(a, b[-1]) for a, b in zip(theirs(image), ours(image))]
    return max(float((a - b).abs().max() / a.abs().max()) for a, b in pairs)
