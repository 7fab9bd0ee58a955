"""A stage of a training run: a checked config entry, and which parts of a model it trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from torch import nn

from mspose_plugin.utils.checks import (
    check,
    check_keys,
    check_number,
    check_positive,
    check_value,
)

STAGES = 'StageScheduleHook.stages'
"""What messages call the list of stages."""


@dataclass(frozen=True)
class Stage:
    """One stage, as an entry of the config. Everything that it does not set stays as configured.

    Args:
        name: for the log and for messages.
        epochs: length, at least 1.
        train: the parts that train, as dotted module names
            (``'backbone'``, ``'backbone.stacks.7'``); everything else is frozen. Defaults to
            None, everything trains. Parameters that the model itself has frozen stay frozen.
        set: attributes of modules during the stage,
            e.g. ``{'head.refine': False}``. Defaults to none.
        pipeline: transforms of the training data. Defaults to None,
            those of ``train_dataloader``.
        lr_factor: factor on the initial learning rates. Defaults to 1.

    Raises:
        InputError: a value that is not as described.
    """

    name: str
    epochs: int
    train: Sequence[str] | None = None
    set: Mapping[str, Any] = field(default_factory=dict)
    pipeline: Sequence[dict] | None = None
    lr_factor: float = 1.0

    @classmethod
    def parse(cls, index: int, given: Any) -> Stage:
        """Read a config entry; ``index`` names a stage that has no name."""
        check_keys(f'{STAGES}[{index}]', given, [f.name for f in fields(cls)])
        return cls(**{'name': str(index + 1), 'epochs': 0, **given})

    def __post_init__(self) -> None:
        """Check the values."""
        check_number(self.where('epochs'), self.epochs, 1, whole=True)
        names = is_list(self.train) and all(isinstance(part, str) for part in self.train or (0,))
        wanted = 'a list of module names, or None to train everything'
        check_value(self.train is None or names, self.where('train'), self.train, wanted)
        pairs = isinstance(self.set, Mapping) and all('.' in key for key in self.set)
        wanted = "a dict of attributes, e.g. {'head.refine': False}"
        check_value(pairs, self.where('set'), self.set, wanted)
        steps = self.pipeline is None or is_list(self.pipeline) and self.pipeline
        wanted = 'a list of transforms, or None'
        check_value(steps, self.where('pipeline'), self.pipeline, wanted)
        check_positive(self.where('lr_factor'), self.lr_factor)

    def where(self, key: str) -> str:
        """Name an entry of this stage in a message."""
        return f'{STAGES}: stage {self.name!r}: {key}'

    def trains(self, name: str) -> bool:
        """Tell whether the module or parameter called ``name`` trains."""
        return self.train is None or any(f'{name}.'.startswith(f'{part}.') for part in self.train)


def is_list(value: Any) -> bool:
    """Tell a list or tuple from a string or a single value."""
    return isinstance(value, Sequence) and not isinstance(value, str)


def find_part(model: nn.Module, path: str, where: str) -> nn.Module:
    """Return the module (or parameter) called ``path``.

    Args:
        model: the model.
        path: dotted name.
        where: what asks for it, for the message.

    Raises:
        InputError: there is none; the message says which parts there are.
    """
    found: Any = model
    parent = 'the model'
    for part in path.split('.'):
        parts: dict[str, Any] = {}
        if isinstance(found, nn.Module):
            parts = dict([*found.named_children(), *found.named_parameters(recurse=False)])
        known = ', '.join(parts) or 'none'
        check(part in parts, f'{where}: {path!r}: {parent} has no part {part!r}; it has {known}')
        found, parent = parts[part], part
    return found


def frozen_parts(module: nn.Module, stage: Stage, name: str = '') -> Iterator[nn.Module]:
    """Yield the largest modules that are frozen in ``stage``, with all that they contain.

    Args:
        module: the model, or the part of it called ``name``.
        stage: the stage.
        name: dotted name of ``module``. Defaults to ``''``, the model.
    """
    for child_name, child in module.named_children():
        path = f'{name}.{child_name}' if name else child_name
        if stage.trains(path):
            continue
        if any(part.startswith(f'{path}.') for part in stage.train or ()):
            yield from frozen_parts(child, stage, path)
        else:
            yield child
