"""An unpickler for checkpoints: it rebuilds data and cannot be talked into anything else.

``torch.load`` takes it as ``pickle_module``. PyTorch's own ``weights_only`` unpickler does not read
mmengine's checkpoints (``HistoryBuffer`` pickles its methods through ``getattr``), and allowing
``getattr``, ``numpy.dtype`` and ``numpy.ndarray`` there as they are would undo the protection: an
object array built from raw bytes is a pointer of the attacker's choice.

Three gates, each a closed list:

- a *name* (``GLOBAL``) is one of :data:`ALLOWED`; most entries are functions of this module that
  check their arguments;
- a *call* (``REDUCE``, ``NEWOBJ`` …) goes to one of those names, never to something computed;
- a *state* (``BUILD``) is checked for each of the few types that have one.
"""
from __future__ import annotations

import math
import pickle
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

UnpicklingError = pickle.UnpicklingError

_STATISTICS = ('min', 'max', 'mean', 'current')
_ANNEALING = ('_annealing_cos', '_annealing_linear')
_BUFFER_STATE = {'max_length': int, '_log_history': np.ndarray, '_count_history': np.ndarray}


class Refused(Exception):
    """A pickle asked for something outside the closed lists; the text names it."""


def method_getattr(owner: Any, name: str) -> Callable:
    """``getattr`` for the uses mmengine's pickles have.

    HistoryBuffer keeps its statistics, and the one-cycle scheduler its annealing function, as an
    attribute; a pickle names such a method through its class.
    """
    history = owner is HistoryBuffer or type(owner) is HistoryBuffer
    if history and name in _STATISTICS or owner is OneCycleParamScheduler and name in _ANNEALING:
        return getattr(owner, name)
    raise Refused(f'builtins.getattr(…, {name!r})')


def _encode(text: str, encoding: str = 'latin1') -> bytes:
    """``_codecs.encode`` as pickles of protocol 2 use it, for bytes."""
    if type(text) is not str or encoding not in ('latin1', 'latin-1'):
        raise Refused(f'_codecs.encode(…, {encoding!r})')
    return text.encode('latin1')


def _bytes(*args: Any) -> bytes:
    """``bytes()`` and ``bytes(text, 'latin1')``, not ``bytes(<size>)``."""
    return _encode(*args) if args else b''


def _bytearray(*args: Any) -> bytearray:
    """``bytearray`` likewise; protocol 5 gives it bytes."""
    return bytearray(args[0] if len(args) == 1 and type(args[0]) is bytes else _bytes(*args))


def _dtype(code: str, align: bool = False, copy: bool = True) -> np.dtype:
    """``numpy.dtype`` for numbers and strings: no objects, no structures."""
    if type(code) is str:
        dtype = np.dtype(code.encode('ascii').decode(), False, True)
        if dtype.kind in 'biufcSU':
            return dtype
    raise Refused(f'numpy.dtype({code!r})')


def _reconstruct(kind: type, shape: tuple, code: Any) -> np.ndarray:
    """``numpy._core.multiarray._reconstruct``: an empty array whose state follows."""
    if kind is not np.ndarray:
        raise Refused(f'numpy _reconstruct({kind!r}, …)')
    return np.empty(0, np.int8)


def _scalar(dtype: np.dtype, data: bytes = b'') -> Any:
    """``numpy._core.multiarray.scalar`` from bytes."""
    if type(data) is not bytes or not isinstance(dtype, np.dtype):
        raise Refused(f'numpy scalar({dtype!r}, {type(data).__name__})')
    return np.frombuffer(data, dtype, count=1)[0]


def _set_array_state(array: np.ndarray, state: tuple) -> None:
    """``ndarray.__setstate__((version, shape, dtype, fortran, bytes))``, sizes checked."""
    _version, shape, dtype, fortran, data = state
    if not (type(shape) is tuple and all(type(n) is int and n >= 0 for n in shape)
            and isinstance(dtype, np.dtype) and type(data) is bytes
            and math.prod(shape) * dtype.itemsize == len(data)):
        raise Refused(f'numpy.ndarray with shape {shape!r} of {dtype!r}')
    array.__setstate__((1, shape, dtype, bool(fortran), data))


def _set_dtype_state(dtype: np.dtype, state: tuple) -> None:
    """``dtype.__setstate__``: byte order only, the size being that of the type."""
    order, rest, flags = state[1], state[2:7], state[7:]
    if not (state[0] == 3 and order in ('<', '>', '|', '=') and rest[:3] == (None, None, None)
            and rest[3] in (-1, dtype.itemsize) and rest[4] in (-1, dtype.alignment)
            and flags in ((0, ), (8, ))):  # 8 marks strings
        raise Refused(f'numpy.dtype with state {state!r}')
    dtype.__setstate__(state)


def _set_buffer_state(buffer: HistoryBuffer, state: dict) -> None:
    """Restore a HistoryBuffer's numbers; its statistics belong to the class, which has them."""
    state = {key: state[key] for key in _BUFFER_STATE}
    if any(type(state[key]) is not kind for key, kind in _BUFFER_STATE.items()):
        raise Refused('HistoryBuffer whose state is not numbers')
    buffer.__setstate__(state)


def _set_dict_state(mapping: OrderedDict, state: dict) -> None:
    """``state_dict()._metadata``; no other attribute of a dict matters."""
    if '_metadata' in state:
        mapping._metadata = state['_metadata']


_SET_STATE: dict[type, Callable[[Any, Any], None]] = {
    np.ndarray: _set_array_state,
    np.dtype: _set_dtype_state,
    HistoryBuffer: _set_buffer_state,
    OrderedDict: _set_dict_state,
}


def _allowed() -> tuple[dict[tuple[str, str], Any], set[int]]:
    """Return the names a pickle may mention, and the ids of those it may call."""
    call: dict[tuple[str, str], Any] = {
        ('collections', 'OrderedDict'): OrderedDict,
        ('collections', 'Counter'): Counter,
        ('collections', 'defaultdict'): defaultdict,
        ('builtins', 'bytes'): _bytes,
        ('builtins', 'bytearray'): _bytearray,
        ('builtins', 'getattr'): method_getattr,
        ('_codecs', 'encode'): _encode,
        ('numpy', 'dtype'): _dtype,
        ('torch', 'Size'): torch.Size,
        ('torch', 'device'): torch.device,
        ('mmengine.logging.history_buffer', 'HistoryBuffer'): HistoryBuffer,
    }
    mention: dict[tuple[str, str], Any] = {
        ('numpy', 'ndarray'): np.ndarray,
        (OneCycleParamScheduler.__module__, 'OneCycleParamScheduler'): OneCycleParamScheduler,
        ('torch', 'UntypedStorage'): torch.UntypedStorage,
        ('torch.storage', 'UntypedStorage'): torch.UntypedStorage,
    }
    call.update({('builtins', f.__name__): f for f in (set, frozenset, complex, slice, range)})
    mention.update({('builtins', kind.__name__): kind
                    for kind in (int, float, bool, str, list, dict, tuple)})
    for package in ('numpy.core', 'numpy._core'):  # NumPy 1 and 2
        call[f'{package}.multiarray', '_reconstruct'] = _reconstruct
        call[f'{package}.multiarray', 'scalar'] = _scalar
    for name in ('_rebuild_tensor', '_rebuild_tensor_v2', '_rebuild_parameter'):
        call['torch._utils', name] = getattr(torch._utils, name)
    for name in _STATISTICS:  # how protocol 4 writes what protocol 2 writes with getattr
        mention['mmengine.logging.history_buffer', f'HistoryBuffer.{name}'] = getattr(
            HistoryBuffer, name)
    for name in _ANNEALING:
        mention[OneCycleParamScheduler.__module__, f'OneCycleParamScheduler.{name}'] = getattr(
            OneCycleParamScheduler, name)
    mention.update({('torch', name): value for name, value in vars(torch).items()
                    if isinstance(value, torch.dtype)})
    return call | mention, set(map(id, call.values()))


ALLOWED, _CALLABLE = _allowed()
"""(module, name) in a pickle -> what it stands for here."""


class Unpickler(pickle._Unpickler):
    """Python's unpickler with the three gates; the C one offers none but ``find_class``."""

    dispatch = dict(pickle._Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        """Look a name up in :data:`ALLOWED`."""
        if self.proto < 3:  # such pickles use the names of Python 2
            module, name = NAME_MAPPING.get((module, name),
                                            (IMPORT_MAPPING.get(module, module), name))
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise Refused(f'{module}.{name}') from None

    def _check_call(self, function: Any) -> None:
        if id(function) not in _CALLABLE:
            name = getattr(function, '__qualname__', None) or type(function).__name__
            raise Refused(f'{name}(…)')

    def load_reduce(self) -> None:
        """Call a function: ``[…, function, arguments]`` on the stack."""
        self._check_call(self.stack[-2])
        super().load_reduce()

    def load_newobj(self) -> None:
        """Make an object: ``[…, class, arguments]`` on the stack."""
        self._check_call(self.stack[-2])
        super().load_newobj()

    def load_newobj_ex(self) -> None:
        """Make an object: ``[…, class, arguments, keyword arguments]`` on the stack."""
        self._check_call(self.stack[-3])
        super().load_newobj_ex()

    def _instantiate(self, klass: Any, args: list) -> None:
        self._check_call(klass)
        super()._instantiate(klass, args)

    def get_extension(self, code: int) -> None:
        """Refuse names by number."""
        raise Refused(f'extension {code}')

    def load_build(self) -> None:
        """Set an object's state: ``[…, object, state]`` on the stack."""
        state = self.stack.pop()
        owner = self.stack[-1]
        # numpy.dtype has a class for each type
        kind = np.dtype if isinstance(owner, np.dtype) else type(owner)
        if kind not in _SET_STATE:
            raise Refused(f'{kind.__name__}.__setstate__(…)')
        _SET_STATE[kind](owner, state)

    dispatch.update({
        pickle.REDUCE[0]: load_reduce,
        pickle.NEWOBJ[0]: load_newobj,
        pickle.NEWOBJ_EX[0]: load_newobj_ex,
        pickle.BUILD[0]: load_build,
    })


def load(file, **options: Any) -> Any:
    """Unpickle one object from ``file``; what ``torch.load`` calls for its legacy format."""
    return Unpickler(file, **options).load()
