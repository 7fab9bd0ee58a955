"""A stage of a training run as data: a config entry, checked, and what it says about a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from torch import nn

from mspose_plugin.utils.errors import InputError

STAGES = 'StageScheduleHook.stages'
"""What messages call the list of stages."""


@dataclass(frozen=True)
class Stage:
    """One stage, as the config gives it. What it does not mention is as in the config.

    Args:
        name: for the log and for messages.
        epochs: length, at least 1.
        train: the parts that train, as dotted module names
            (``'backbone'``, ``'backbone.stacks.7'``); everything else is fixed. Defaults to
            None, everything trains. Parameters that the model itself has fixed stay fixed.
        set: attributes of modules during the stage,
            e.g. ``{'head.refine': False}``. Defaults to none.
        pipeline: transforms of the training data. Defaults to None,
            those of ``train_dataloader``.
        lr_factor: what the initial learning rates are multiplied with. Defaults to 1.
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
        if not isinstance(given, Mapping):
            raise InputError(f'{STAGES}[{index}]: expected a dict, got {type(given).__name__}')
        known = [f.name for f in fields(cls)]
        unknown = [key for key in given if key not in known]
        if unknown:
            raise InputError(
                f'{STAGES}[{index}]: unknown key {unknown[0]!r}; expected {", ".join(known)}'
            )
        stage = cls(**{'name': str(index + 1), 'epochs': 0, **given})
        for key, fits, expected in (
            ('epochs', type(stage.epochs) is int and stage.epochs >= 1, 'an integer of 1 or more'),
            (
                'train',
                stage.train is None
                or is_list(stage.train)
                and len(stage.train) > 0
                and all(isinstance(part, str) for part in stage.train),
                'a list of module names, or None to train everything',
            ),
            (
                'set',
                isinstance(stage.set, Mapping) and all('.' in key for key in stage.set),
                "a dict of attributes, e.g. {'head.refine': False}",
            ),
            (
                'pipeline',
                stage.pipeline is None or is_list(stage.pipeline) and len(stage.pipeline) > 0,
                'a list of transforms, or None',
            ),
            (
                'lr_factor',
                isinstance(stage.lr_factor, (int, float)) and stage.lr_factor > 0,
                'a positive number',
            ),
        ):
            if not fits:
                raise InputError(f'{stage.where(key)}={getattr(stage, key)!r}: expected {expected}')
        return stage

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
    found, parent = model, 'the model'
    for part in path.split('.'):
        parts = {}
        if isinstance(found, nn.Module):
            parts = dict([*found.named_children(), *found.named_parameters(recurse=False)])
        if part not in parts:
            raise InputError(
                f'{where}: {path!r}: {parent} has no part {part!r}; it has '
                f'{", ".join(parts) or "none"}'
            )
        found, parent = parts[part], part
    return found


def fixed_parts(module: nn.Module, stage: Stage, name: str = '') -> Iterator[nn.Module]:
    """Yield the largest modules that contain nothing that trains in ``stage``.

    Args:
        module: the model, or the part of it called ``name``.
        stage: the stage.
        name: dotted name of ``module``. Defaults to ``''``, the model.
    """
    for child_name, child in module.named_children():
        path = f'{name}.{child_name}' if name else child_name
        if stage.trains(path):
            continue
        if any(part.startswith(f'{path}.') for part in stage.train):
            yield from fixed_parts(child, stage, path)
        else:
            yield child
