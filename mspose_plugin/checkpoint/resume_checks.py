"""Whether a training can go on from a checkpoint, and from which one.

mmengine reads a checkpoint's state without a look at it: an entry of a wrong type ends in a
traceback from inside, at once or an epoch later, and weights that are not finite train on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import nn

from mspose_plugin.checkpoint.loading import load_checkpoint_file
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.errors import InputError

_KINDS = {
    'best_score': (Real, 'a number'),
    'best_ckpt': (str, 'a path'),
    'last_ckpt': (str, 'a path'),
    'last_validation_epoch': (Integral, 'an integer'),
    'total_batch_size': (Integral, 'an integer'),
    'begun_epoch': (Integral, 'an integer'),
    'begun_iter': (Integral, 'an integer'),
    'keep_ckpt_ids': ([Integral], 'a list of integers'),
    'outdated_ckpts': ([str], 'a list of paths'),
}
"""What a resumed run goes by of ``message_hub.runtime_info``; ``best_…`` may have a metric's name
appended."""


def non_finite(state: Mapping[str, Any], ignored: Collection[str] = ()) -> Iterator[str]:
    """Yield the names of the tensors that hold NaN or infinity.

    Args:
        state: tensors by name; what is no tensor is passed over.
        ignored: names to pass over. Default: none.
    """
    for name, value in state.items():
        if (
            isinstance(value, torch.Tensor)
            and name not in ignored
            and not bool(value.isfinite().all())
        ):
            yield str(name)


def refuse_non_finite(state: Mapping[str, Any], name: str, model: nn.Module | None = None) -> None:
    """Refuse weights that are not finite.

    Args:
        state: weights by name.
        name: what they are called in the message.
        model: before they are loaded; its buffers that are not finite, such
            as a mask of -inf, need not be. Default: None.

    Raises:
        InputError: there are some; the message names the first.
    """
    ignored = set(non_finite(dict(model.named_buffers()))) if model else ()
    state = {str(key).removeprefix('module.'): value for key, value in state.items()}
    broken = list(non_finite(state, ignored))
    check(
        not broken,
        f'{name}: {len(broken)} tensors are not finite, first {"".join(broken[:1])}; use a '
        'checkpoint from before the training diverged',
    )


def check_resumable(checkpoint: Mapping, name: str, runner: Runner | None = None) -> None:
    """Check what mmengine takes over from a checkpoint beside the weights.

    Args:
        checkpoint: the loaded checkpoint.
        name: what it is called in messages.
        runner: what it is for, whose optimizer and schedulers it has to suit.
            Default: None, these are not looked at.

    Raises:
        InputError: the checkpoint holds weights only, or an entry is missing or of a wrong type;
            the message names it.
    """
    meta: Any = checkpoint.get('meta')
    hub = checkpoint.get('message_hub')
    instead = 'start from its weights with --cfg-options load_from=CHECKPOINT'
    check(
        isinstance(meta, Mapping) and {'epoch', 'iter'} <= meta.keys() and hub is not None,
        f'{name} holds weights without the state of a training; resume an epoch_*.pth, or '
        f'{instead}',
    )
    fault = next(_faults(checkpoint, meta, hub, runner), None)
    check(
        fault is None,
        f'{name} cannot be resumed: {fault}; resume another checkpoint, or {instead}',
    )
    if runner is not None and 'optimizer' not in checkpoint:
        runner.logger.warning(
            '%s has no optimizer state (best_*.pth never has): momentum and learning rate '
            'schedule start afresh',
            name,
        )


def _faults(checkpoint: Mapping, meta: Mapping, hub: Any, runner) -> Iterator[str]:
    for key in ('epoch', 'iter'):
        if not isinstance(meta[key], Integral) or isinstance(meta[key], bool) or meta[key] < 0:
            yield f'meta.{key}={meta[key]!r}, expected an integer of 0 or more'
    if not isinstance(meta.get('seed', 0), Integral | None):
        yield f'meta.seed={meta["seed"]!r}, expected an integer'
    parts = ('log_scalars', 'runtime_info', 'resumed_keys')
    if not (isinstance(hub, Mapping) and all(isinstance(hub.get(k), Mapping) for k in parts)):
        yield f'message_hub, expected a dict of the dicts {", ".join(parts)}'
        return
    for key, value in hub['runtime_info'].items():
        for known, (kind, expected) in _KINDS.items():
            if (key == known or str(key).startswith(f'{known}_')) and not _is(value, kind):
                yield f'message_hub.runtime_info.{key}={value!r}, expected {expected}'
    if runner is None:
        return
    if 'optimizer' in checkpoint and isinstance(runner.optim_wrapper, OptimWrapper):
        yield from _optimizer_faults(runner.optim_wrapper, checkpoint['optimizer'])
    schedulers = checkpoint.get('param_schedulers')
    if schedulers is not None and runner.param_schedulers is not None:
        own = runner.param_schedulers
        if isinstance(own, dict):  # one list for each of several optimizers
            own = {key: [s.state_dict() for s in part] for key, part in own.items()}
        else:
            own = [s.state_dict() for s in own]
        yield from _unlike(own, schedulers, 'param_schedulers')


def _optimizer_faults(wrapper: OptimWrapper, state: Any) -> Iterator[str]:
    own = wrapper.state_dict()
    yield from _unlike({k: v for k, v in own.items() if k != 'state'}, state, 'optimizer')
    if isinstance(state, Mapping) and not (
        isinstance(state.get('param_groups'), list)
        and isinstance(state.get('state'), Mapping)
        and all(isinstance(value, Mapping) for value in state['state'].values())
    ):
        yield 'optimizer, expected a dict of param_groups (a list) and state (a dict of dicts)'


def _unlike(own: Any, given: Any, path: str) -> Iterator[str]:
    """Compare the kinds of the entries, not their values; None goes with anything."""
    if own is None or given is None:
        return
    if isinstance(own, Mapping):
        if not isinstance(given, Mapping):
            yield f'{path} is a {type(given).__name__}, expected a dict'
            return
        for key, value in own.items():
            if key in given:
                yield from _unlike(value, given[key], f'{path}.{key}')
            elif (
                isinstance(value, Real | tuple)
                and not isinstance(value, bool)
                and (key != 'initial_lr')
            ):  # set by a scheduler, which need not have been there
                yield f'{path} has no {key}, which the config needs'
    elif isinstance(own, list | tuple):
        if not isinstance(given, list | tuple):
            yield f'{path} is a {type(given).__name__}, expected a list'
        elif len(own) != len(given):
            yield f'{path} has {len(given)} entries, the config makes {len(own)}'
        else:
            for i, (a, b) in enumerate(zip(own, given)):
                yield from _unlike(a, b, f'{path}[{i}]')
    elif isinstance(own, Real):
        if not isinstance(given, Real):
            yield f'{path}={given!r}, expected a number'
    elif isinstance(own, str) and not isinstance(given, str):
        yield f'{path}={given!r}, expected a text'


def _is(value: Any, kind: Any) -> bool:
    if isinstance(kind, list):
        return isinstance(value, list) and all(isinstance(v, kind[0]) for v in value)
    return value is None or isinstance(value, kind)


def find_intact_checkpoint(work_dir: str | Path) -> str | None:
    """Return the newest checkpoint of a work directory that a training can go on from.

    Every file is read whole, the latest epoch (or iteration) first. What is passed over is
    logged.

    Args:
        work_dir: where the run keeps its files.

    Returns:
        Its path, or None.
    """
    found = {
        path: int(digits)
        for pattern in ('epoch', 'iter')
        for path in Path(work_dir).glob(f'{pattern}_*.pth')
        if (digits := path.stem.partition('_')[2]).isdecimal()
    }
    for path in sorted(
        found, key=lambda path: (path.stat().st_mtime_ns, found[path]), reverse=True
    ):
        try:
            check_intact(path)
        except InputError as e:
            print_log(f'passed over: {e}', 'current')
        else:
            return str(path)
    return None


def check_intact(path: str | Path, work_dir: str | Path | None = None) -> None:
    """Read a checkpoint and see whether a training can go on from it.

    Args:
        path: an ``epoch_*.pth`` or ``iter_*.pth``.
        work_dir: where to look for an intact one that the message can name.
            Default: None, no other one is read.

    Raises:
        InputError: it cannot be read or resumed, or its weights are not finite.
    """
    try:
        checkpoint, name = load_checkpoint_file(path, 'cpu'), f'checkpoint {path}'
        is_dict = isinstance(checkpoint, Mapping)
        weights: Any = checkpoint.get('state_dict') if is_dict else None
        check(isinstance(weights, Mapping), f'{name} holds no state_dict')
        refuse_non_finite(weights, name)
        check_resumable(checkpoint, name)
    except InputError as e:
        other = find_intact_checkpoint(work_dir) if work_dir else None
        remedy = f'; {other} is intact: --resume intact continues from it' if other else ''
        raise type(e)(f'{e}{remedy}') from e
