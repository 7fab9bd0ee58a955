"""An unpickler for checkpoints: it rebuilds data and cannot be talked into anything else.

``torch.load`` takes it as ``pickle_module``. PyTorch's own ``weights_only`` unpickler does not read
mmengine's checkpoints (``HistoryBuffer`` pickles its methods through ``getattr``), and allowing
what they need by ``torch.serialization.safe_globals`` would undo the protection: the state of an
allowed class is set unchecked there, and a ``numpy.dtype`` or ``ndarray`` with a state of the
attacker's choice is a pointer of the attacker's choice. Nor does it bound what a few hundred bytes
can ask for.

Three gates, each a closed list:

- a *name* (``GLOBAL``) is one of :data:`ALLOWED`;
- a *call* (``REDUCE``, ``NEWOBJ``) goes to one of those names, never to something computed, and
  through a function that checks its arguments;
- a *state* (``BUILD``) is checked for each of the few types that have one.

And three bounds, so that a small file cannot use up the machine:

- what is hashed (a key of a dictionary, an element of a set, the name of a storage) has at most
  :data:`MAX_KEY_PARTS` parts, since Python hashes nested tuples part by part on the C stack;
- calls get no more data in all than :data:`MAX_GROWTH` times the pickle's size, and none gets
  something that makes its elements up, as ``range`` does;
- a tensor has no more elements than its storage, but for a few that are repeated.
"""

from __future__ import annotations

import math
import pickle
import struct
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from typing import IO, Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

UnpicklingError = pickle.UnpicklingError

MAX_KEY_PARTS = 100
"""Parts of a nested tuple that is hashed; real keys are text, numbers or short tuples."""
MAX_GROWTH = 16
"""What calls are given, per byte of the pickle, which writes all but names only once."""
MAX_REPEATED = 1 << 24
"""Elements of a tensor that repeats those of a smaller storage (``torch.Tensor.expand``)."""
_ALLOWANCE = 1 << 20
_MAX_DIMENSIONS = 64

_STATISTICS = ('min', 'max', 'mean', 'current')
_ANNEALING = ('_annealing_cos', '_annealing_linear')
_BUFFER_STATE = {'max_length': int, '_log_history': np.ndarray, '_count_history': np.ndarray}


class Refused(Exception):
    """A pickle asked for something outside the closed lists; the text names it."""


def _check_parts(value: Any, limit: int, what: str) -> None:
    """Count the parts of nested containers, without recursion, hashing or printing."""
    parts, pending = 1, [value]
    while pending:
        part = pending.pop()
        if isinstance(part, (tuple, list, set, frozenset, dict)):
            parts += len(part)
            if parts > limit:
                raise Refused(f'{what} of more than {limit} parts')
            pending.extend(part.values() if isinstance(part, dict) else part)


def _check_keys(keys: Iterable[Any]) -> None:
    """Bound what is about to be hashed."""
    for key in keys:
        if type(key) not in (str, int, float, bytes, bool):
            _check_parts(key, MAX_KEY_PARTS, 'a key')


def _show(value: Any) -> str:
    """Text of an argument for a message; printing what a pickle has nested may take for ever."""
    return repr(value)[:60] if isinstance(value, (str, int, np.dtype)) else type(value).__name__


def _amount(values: Iterable[Any]) -> int:
    """Elements and bytes of what is handed over."""
    return sum(
        len(value)
        for value in values
        if isinstance(value, (str, bytes, bytearray, list, tuple, dict, set, frozenset))
    )


def method_getattr(owner: Any, name: str) -> Callable:
    """``getattr`` for the uses mmengine's pickles have.

    HistoryBuffer keeps its statistics, and the one-cycle scheduler its annealing function, as an
    attribute; a pickle names such a method through its class.
    """
    history = owner is HistoryBuffer or type(owner) is HistoryBuffer
    if history and name in _STATISTICS or owner is OneCycleParamScheduler and name in _ANNEALING:
        return getattr(owner, name)
    raise Refused(f'builtins.getattr(…, {_show(name)})')


def _elements(name: str, args: tuple, *kinds: type) -> Any:
    """The one argument of a container, of one of some types, or nothing; checked to be hashable."""
    if len(args) > 1 or args and type(args[0]) not in kinds:
        raise Refused(f'{name}({", ".join(type(arg).__name__ for arg in args)})')
    return args[0] if args else ()


def _set(*args: Any) -> set:
    """``set`` of a list."""
    elements = _elements('set', args, list, tuple)
    _check_keys(elements)
    return set(elements)


def _frozenset(*args: Any) -> frozenset:
    """``frozenset`` likewise."""
    elements = _elements('frozenset', args, list, tuple)
    _check_keys(elements)
    return frozenset(elements)


def _ordered_dict(*args: Any) -> OrderedDict:
    """``OrderedDict``, empty or, as Python 2 wrote it, of a list of pairs."""
    pairs = _elements('OrderedDict', args, list)
    if any(type(pair) not in (list, tuple) or len(pair) != 2 for pair in pairs):
        raise Refused('OrderedDict(…) of something other than pairs')
    _check_keys(key for key, _ in pairs)
    return OrderedDict(pairs)


def _counter(*args: Any) -> Counter:
    """``Counter`` of a dictionary, whose keys have been checked."""
    return Counter(dict(_elements('Counter', args, dict)))


def _default_dict(*args: Any) -> defaultdict:
    """``defaultdict`` of a type."""
    if len(args) > 1 or args and args[0] not in (None, list, dict, int, float, str, bool, tuple):
        raise Refused('defaultdict(…) of something other than a plain type')
    return defaultdict(*args)


def _size(*args: Any) -> torch.Size:
    """``torch.Size`` of numbers."""
    return torch.Size(_elements('torch.Size', args, tuple, list))


def _slice(*args: Any) -> slice:
    """``slice`` of numbers."""
    if any(arg is not None and type(arg) is not int for arg in args):
        raise Refused('slice(…) of something other than numbers')
    return slice(*args)


def _history_buffer(*args: Any) -> HistoryBuffer:
    """An empty ``HistoryBuffer``, whose state follows."""
    if args:
        raise Refused('HistoryBuffer(…)')
    return HistoryBuffer.__new__(HistoryBuffer)


def _tensor(storage: Any, offset: int, size: tuple, stride: tuple, *rest: Any) -> torch.Tensor:
    """``torch._utils._rebuild_tensor`` and ``_v2`` without hooks; no larger than its storage."""
    available = storage._untyped_storage.nbytes() // storage.dtype.itemsize
    if len(size) > _MAX_DIMENSIONS or math.prod(size) > max(available, MAX_REPEATED):
        raise Refused(f'a tensor far larger than its storage of {available} elements')
    requires_grad, _hooks, metadata = (*rest, None, None, None)[:3]
    return torch._utils._rebuild_tensor_v2(
        storage, offset, size, stride, bool(requires_grad), OrderedDict(), metadata
    )


def _parameter(data: torch.Tensor, requires_grad: bool, hooks: Any = None) -> torch.nn.Parameter:
    """``torch._utils._rebuild_parameter`` without hooks."""
    return torch._utils._rebuild_parameter(data, requires_grad, OrderedDict())


def _encode(text: str, encoding: str = 'latin1') -> bytes:
    """``_codecs.encode`` as pickles of protocol 2 use it, for bytes."""
    if type(text) is not str or encoding not in ('latin1', 'latin-1'):
        raise Refused(f'_codecs.encode(…, {_show(encoding)})')
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
        if dtype.kind in 'biufc' or dtype.kind in 'SU' and dtype.itemsize:
            return dtype
    raise Refused(f'numpy.dtype({_show(code)})')


def _reconstruct(kind: type, shape: tuple, code: Any) -> np.ndarray:
    """``numpy._core.multiarray._reconstruct``: an empty array whose state follows."""
    if kind is not np.ndarray:
        raise Refused(f'numpy _reconstruct({_show(kind)}, …)')
    return np.empty(0, np.int8)


def _scalar(dtype: np.dtype, data: bytes = b'') -> Any:
    """``numpy._core.multiarray.scalar`` from bytes."""
    if type(data) is not bytes or not isinstance(dtype, np.dtype):
        raise Refused(f'numpy scalar({_show(dtype)}, {type(data).__name__})')
    return np.frombuffer(data, dtype, count=1)[0]


def _set_array_state(array: np.ndarray, state: tuple) -> None:
    """``ndarray.__setstate__((version, shape, dtype, fortran, bytes))``, sizes checked."""
    _version, shape, dtype, fortran, data = state
    if not (
        type(shape) is tuple
        and len(shape) <= _MAX_DIMENSIONS
        and all(type(n) is int and n >= 0 for n in shape)
        and isinstance(dtype, np.dtype)
        and type(data) is bytes
        and math.prod(shape) * dtype.itemsize == len(data)
    ):
        raise Refused(f'numpy.ndarray of {_show(dtype)} beyond its bytes')
    array.__setstate__((1, shape, dtype, bool(fortran), data))


def _set_dtype_state(dtype: np.dtype, state: tuple) -> None:
    """``dtype.__setstate__``: byte order only, the size being that of the type."""
    order, rest, flags = state[1], state[2:7], state[7:]
    if not (
        state[0] == 3
        and order in ('<', '>', '|', '=')
        and rest[:3] == (None, None, None)
        and rest[3] in (-1, dtype.itemsize)
        and rest[4] in (-1, dtype.alignment)
        and flags in ((0,), (8,))
    ):  # 8 marks strings
        raise Refused('numpy.dtype with a state of its own')
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


def _allowed() -> tuple[dict[tuple[str, str], Any], dict[int, Callable]]:
    """Return what the names stand for, and what a call of some of that does, by its id."""
    statistics, annealing = (
        {name: getattr(owner, name) for name in names}
        for owner, names in ((HistoryBuffer, _STATISTICS), (OneCycleParamScheduler, _ANNEALING))
    )
    call: dict[tuple[str, str], tuple[Any, Callable]] = {
        ('collections', 'OrderedDict'): (OrderedDict, _ordered_dict),
        ('collections', 'Counter'): (Counter, _counter),
        ('collections', 'defaultdict'): (defaultdict, _default_dict),
        ('builtins', 'set'): (set, _set),
        ('builtins', 'frozenset'): (frozenset, _frozenset),
        ('builtins', 'complex'): (complex, complex),
        ('builtins', 'slice'): (slice, _slice),
        ('builtins', 'bytes'): (_bytes, _bytes),
        ('builtins', 'bytearray'): (_bytearray, _bytearray),
        ('builtins', 'getattr'): (method_getattr, method_getattr),
        ('_codecs', 'encode'): (_encode, _encode),
        ('numpy', 'dtype'): (_dtype, _dtype),
        ('torch', 'Size'): (torch.Size, _size),
        ('torch', 'device'): (torch.device, torch.device),
        ('mmengine.logging.history_buffer', 'HistoryBuffer'): (HistoryBuffer, _history_buffer),
        ('torch._utils', '_rebuild_tensor'): (_tensor, _tensor),
        ('torch._utils', '_rebuild_tensor_v2'): (_tensor, _tensor),
        ('torch._utils', '_rebuild_parameter'): (_parameter, _parameter),
    }
    for package in ('numpy.core', 'numpy._core'):  # NumPy 1 and 2
        call[f'{package}.multiarray', '_reconstruct'] = (_reconstruct, _reconstruct)
        call[f'{package}.multiarray', 'scalar'] = (_scalar, _scalar)
    mention: dict[tuple[str, str], Any] = {
        ('numpy', 'ndarray'): np.ndarray,
        (OneCycleParamScheduler.__module__, 'OneCycleParamScheduler'): OneCycleParamScheduler,
        ('torch', 'UntypedStorage'): torch.UntypedStorage,
        ('torch.storage', 'UntypedStorage'): torch.UntypedStorage,
        **{
            ('builtins', kind.__name__): kind for kind in (int, float, bool, str, list, dict, tuple)
        },
        # how protocol 4 writes what protocol 2 writes with getattr
        **{
            ('mmengine.logging.history_buffer', f'HistoryBuffer.{name}'): method
            for name, method in statistics.items()
        },
        **{
            (OneCycleParamScheduler.__module__, f'OneCycleParamScheduler.{name}'): method
            for name, method in annealing.items()
        },
        **{
            ('torch', name): value
            for name, value in vars(torch).items()
            if isinstance(value, torch.dtype)
        },
    }
    return (
        {**{name: thing for name, (thing, _) in call.items()}, **mention},
        {id(thing): function for thing, function in call.values()},
    )


ALLOWED, _CALLS = _allowed()
"""(module, name) in a pickle -> what it stands for here; and its id -> what a call of it does."""


class Unpickler(pickle._Unpickler):
    """Python's unpickler with gates and bounds; the C one offers none but ``find_class``.

    Args:
        file: to be read from where it stands.
        **options: as in Python's.
    """

    dispatch = dict(pickle._Unpickler.dispatch)

    def __init__(self, file: IO[bytes], **options: Any) -> None:
        super().__init__(file, **options)
        at = file.tell()
        self._allowance = _ALLOWANCE + MAX_GROWTH * (file.seek(0, 2) - at)
        file.seek(at)

    def find_class(self, module: str, name: str) -> Any:
        """Look a name up in :data:`ALLOWED`."""
        if self.proto < 3:  # such pickles use the names of Python 2
            module, name = NAME_MAPPING.get(
                (module, name), (IMPORT_MAPPING.get(module, module), name)
            )
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise Refused(f'{module}.{name}') from None

    def _spend(self, values: Iterable[Any]) -> None:
        """Take what a call or a state is given off the allowance."""
        self._allowance -= _amount(values)
        if self._allowance < 0:
            raise Refused('far more data than the file holds')

    def load_reduce(self) -> None:
        """Call a function: ``[…, function, arguments]`` on the stack; also ``NEWOBJ``."""
        args, function = self.stack.pop(), self.stack.pop()
        call = _CALLS.get(id(function))
        if call is None or type(args) is not tuple:
            name = getattr(function, '__qualname__', None) or type(function).__name__
            raise Refused(f'{name}(…)')
        self._spend(args)
        self.append(call(*args))

    def refuse_object(self) -> None:
        """Refuse the ways of making objects that checkpoints do not use."""
        raise Refused('an object made without a call')

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
        self._spend(state if isinstance(state, tuple) else ())
        _SET_STATE[kind](owner, state)

    def load_dict(self) -> None:
        """Make a dictionary of the items since the mark (protocol 0)."""
        items = self.pop_mark()
        self.append({})
        self._set_items(items)

    def load_setitem(self) -> None:
        """Set one item: ``[…, dictionary, key, value]`` on the stack."""
        value, key = self.stack.pop(), self.stack.pop()
        self._set_items([key, value])

    def load_setitems(self) -> None:
        """Set the items since the mark."""
        self._set_items(self.pop_mark())

    def _set_items(self, items: list) -> None:
        target = self.stack[-1]
        if type(target) not in (dict, OrderedDict, Counter, defaultdict):
            raise Refused(f'an item of {type(target).__name__}')
        keys, values = items[::2], items[1::2]
        _check_keys(keys)
        # Python takes a chain of them apart on the C stack
        if type(target) is defaultdict and any(type(value) is defaultdict for value in values):
            raise Refused('a defaultdict in a defaultdict')
        for key, value in zip(keys, values, strict=True):
            target[key] = value

    def load_append(self) -> None:
        """Append one element to a list."""
        self._extend([self.stack.pop()])

    def load_appends(self) -> None:
        """Append the elements since the mark."""
        self._extend(self.pop_mark())

    def _extend(self, elements: list) -> None:
        if type(self.stack[-1]) is not list:
            raise Refused(f'an element of {type(self.stack[-1]).__name__}')
        self.stack[-1].extend(elements)

    def load_additems(self) -> None:
        """Add the elements since the mark to a set."""
        elements = self.pop_mark()
        if type(self.stack[-1]) is not set:
            raise Refused(f'an element of {type(self.stack[-1]).__name__}')
        _check_keys(elements)
        self.stack[-1].update(elements)

    def load_frozenset(self) -> None:
        """Make a frozenset of the elements since the mark."""
        elements = self.pop_mark()
        self.append(_frozenset(elements))

    def load_binpersid(self) -> None:
        """Look a storage up, which torch does by a part of the tuple on the stack."""
        _check_keys(self.stack[-1:])
        super().load_binpersid()

    def load_bytearray8(self) -> None:
        """Read a bytearray without making room for its announced size first."""
        (size,) = struct.unpack('<Q', self.read(8))
        self.append(bytearray(self.read(size)))

    dispatch.update(
        {
            pickle.REDUCE[0]: load_reduce,
            pickle.NEWOBJ[0]: load_reduce,
            pickle.NEWOBJ_EX[0]: refuse_object,
            pickle.INST[0]: refuse_object,
            pickle.OBJ[0]: refuse_object,
            pickle.BUILD[0]: load_build,
            pickle.DICT[0]: load_dict,
            pickle.SETITEM[0]: load_setitem,
            pickle.SETITEMS[0]: load_setitems,
            pickle.APPEND[0]: load_append,
            pickle.APPENDS[0]: load_appends,
            pickle.ADDITEMS[0]: load_additems,
            pickle.FROZENSET[0]: load_frozenset,
            pickle.BINPERSID[0]: load_binpersid,
            pickle.BYTEARRAY8[0]: load_bytearray8,
        }
    )


def load(file: IO[bytes], **options: Any) -> Any:
    """Unpickle one object from ``file``; what ``torch.load`` calls for its legacy format."""
    loaded = Unpickler(file, **options).load()
    # headers, which torch looks up and prints
    _check_parts(loaded, 1 << 20, 'a header')
    if type(loaded) is list:
        _check_keys(loaded)
    return loaded
