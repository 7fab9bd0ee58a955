"""PyTorch's ``weights_only`` unpickler, taught the names that mmengine's checkpoints need.

:func:`torch.serialization.safe_globals` adds names to those that the unpickler may call. PyTorch
hands a class that was allowed in this way whatever state the file holds, and a ``numpy.dtype``
with a state of the file's choice is a pointer of the file's choice. So the names of NumPy and
mmengine lead to stand-ins, which :func:`load` replaces by what they stand for.
"""

from __future__ import annotations

import os
import pickle
import re
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from torch import serialization

MAX_REPEATED = 1 << 24
"""Elements of a tensor that repeats those of a smaller storage (``torch.Tensor.expand``)."""
_lock = threading.Lock()


class Refused(Exception):
    """A pickle asks for something that no checkpoint needs; the text names it."""


class _StandIn:
    """What the unpickler makes in place of an object with a state."""

    value: Any = None
    """The object."""


class _DType(_StandIn):
    """``numpy.dtype`` of a number or text; the byte order is all that its state may change."""

    def __init__(self, code: Any, *_: Any) -> None:
        if not re.fullmatch(r'[biufcSU][1-9]\d{0,9}', str(code)):
            raise Refused(f'numpy.dtype({str(code)[:60]!r})')
        self.value = np.dtype(str(code))

    def __setstate__(self, state: tuple) -> None:
        if state[2:5] != (None, None, None):  # parts of a structure
            raise Refused('numpy.dtype with a state of its own')
        self.value = self.value.newbyteorder(state[1])


class _Array(_StandIn):
    """``numpy.ndarray`` of a shape, a :class:`_DType` and bytes."""

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, data = state
        flat = np.frombuffer(data, dtype.value)
        self.value = flat.reshape(shape, order='F' if fortran else 'C').copy()


class _History(_StandIn):
    """``HistoryBuffer``: its numbers alone, since the statistics belong to the class."""

    def __setstate__(self, state: dict) -> None:
        values, counts = state['_log_history'].value, state['_count_history'].value
        self.value = HistoryBuffer(values, counts, state['max_length'])


class _OneCycle:
    """``OneCycleParamScheduler``, whose annealing function is saved by its name."""


_METHODS: dict[tuple[type, str], Callable] = {
    (stand_in, name): getattr(owner, name)
    for stand_in, owner, names in (
        (_History, HistoryBuffer, ('min', 'max', 'mean', 'current')),
        (_OneCycle, OneCycleParamScheduler, ('_annealing_cos', '_annealing_linear')),
    )
    for name in names
}


def _getattr(owner: Any, name: Any) -> Callable:
    """``getattr`` of two classes for the methods that mmengine's checkpoints name."""
    found = _METHODS.get((owner, name)) if isinstance(owner, type) and type(name) is str else None
    if found is None:
        raise Refused(f'builtins.getattr(…, {str(name)[:60]!r})')
    return found


def _bytes() -> bytes:
    """``bytes()``; others are saved as encoded text."""
    return b''


def _reconstruct(*_: Any) -> _Array:
    """NumPy's empty array, whose state follows."""
    return _Array()


def _scalar(dtype: _DType, data: bytes) -> Any:
    """NumPy's number or text from its bytes."""
    return np.frombuffer(data, dtype.value, count=1)[0]


SAFE_GLOBALS: dict[str, Callable] = {
    'builtins.bytes': _bytes,
    'builtins.frozenset': frozenset,
    'builtins.getattr': _getattr,
    'builtins.slice': slice,
    'numpy.dtype': _DType,
    'numpy.ndarray': _Array,
    **{
        f'numpy.{core}.multiarray.{name}': function  # NumPy 1 and 2
        for core in ('core', '_core')
        for name, function in (('_reconstruct', _reconstruct), ('scalar', _scalar))
    },
    'mmengine.logging.history_buffer.HistoryBuffer': _History,
    'mmengine.optim.scheduler.param_scheduler.OneCycleParamScheduler': _OneCycle,
}
"""Name in a pickle -> what PyTorch's unpickler is given for it."""


@contextmanager
def _allowed() -> Iterator[None]:
    """Allow :data:`SAFE_GLOBALS`, and nothing that someone else in this process has allowed."""
    with _lock:
        others = serialization.get_safe_globals()
        serialization.clear_safe_globals()
        try:
            with serialization.safe_globals([(it, name) for name, it in SAFE_GLOBALS.items()]):
                yield
        finally:
            serialization.add_safe_globals(others)


def load(file: IO[bytes], map_location: Any = None) -> Any:
    """Load a checkpoint that :func:`~mspose_plugin.checkpoint.pickle_scan.scan` has passed.

    Args:
        file: from its beginning.
        map_location: as in ``torch.load``. Default: None.

    Returns:
        What was saved. Tensors have no hooks, dicts no attributes but ``_metadata``.

    Raises:
        Refused: the file asks for something that no checkpoint needs.
        Exception: whatever broken bytes lead to.
    """
    with _allowed():
        try:
            loaded = torch.load(file, map_location=map_location, weights_only=True)
        except pickle.UnpicklingError as e:
            _, _, reason = str(e).partition('WeightsUnpickler error:')
            said = ' '.join(reason.partition('Check the documentation')[0].split())
            raise Refused(f'what PyTorch does not do ({said})') from None
    return finish(loaded, os.fstat(file.fileno()).st_size)


def finish(value: Any, size: int) -> Any:
    """Replace the stand-ins in what a file of ``size`` held; dicts and lists change in place."""
    if isinstance(value, _StandIn):
        return value.value
    if isinstance(value, torch.Tensor):
        nbytes = value.untyped_storage().nbytes()
        available = nbytes // value.element_size()
        # PyTorch lets the storages of the format before zip grow, and does not fill them
        if nbytes > size or value.numel() > max(available, MAX_REPEATED):
            raise Refused(f'a tensor far larger than its storage of {available} elements')
        value._backward_hooks = None
    elif type(value) is tuple:
        return tuple(finish(part, size) for part in value)
    elif type(value) is list:
        value[:] = [finish(part, size) for part in value]
    elif type(value) in (dict, OrderedDict, Counter):
        if type(value) is OrderedDict:  # attributes could hide its methods
            kept = {k: finish(v, size) for k, v in vars(value).items() if k == '_metadata'}
            vars(value).clear()
            vars(value).update(kept)
        for key, part in value.items():
            value[key] = finish(part, size)
    return value
