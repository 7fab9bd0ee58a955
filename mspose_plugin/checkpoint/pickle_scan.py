"""Pickles are read through before PyTorch's unpickler is given them; nothing is made or called.

PyTorch's unpickler calls nothing outside its list of names, but it sets no bounds: a few hundred
bytes can nest tuples until hashing them overflows the C stack, copy one object until memory is used
up, or claim a tensor that is larger than the file (PyTorch reads past the end before 2.10). And its
list is longer than a checkpoint needs.
"""

from __future__ import annotations

import pickletools
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any

import torch
from torch.serialization import StorageType

from mspose_plugin.checkpoint.unpickling import SAFE_GLOBALS, Refused

MAX_DEPTH = 100
"""Levels of objects inside each other; checkpoints have about ten."""
MAX_GROWTH = 16
"""What may be repeated or handed to calls, per byte of the file; checkpoints need about two."""
_ALLOWANCE = 1 << 20
_MAX_STORAGE_NAME = 1000

_CALLED = {
    *SAFE_GLOBALS,
    *('builtins.complex', 'builtins.set', 'collections.Counter', 'collections.OrderedDict'),
    *('_codecs.encode', 'torch.Size', 'torch.device', 'torch._utils._rebuild_parameter'),
    *(f'torch._utils._rebuild_tensor{version}' for version in ('', '_v2', '_v3')),
}
_WITHOUT_ARGUMENTS = {'builtins.bytes', 'mmengine.logging.history_buffer.HistoryBuffer'}
_WITH_STATE = {f'{name}(…)' for name in (*SAFE_GLOBALS, 'collections.OrderedDict')}
_LISTS = {'EMPTY_LIST'}
_DICTS = {'EMPTY_DICT', 'collections.OrderedDict(…)', 'collections.Counter(…)'}
_ADDING = {
    'APPEND': _LISTS,
    'APPENDS': _LISTS,
    'SETITEM': _DICTS,
    'SETITEMS': _DICTS,
    'BUILD': _WITH_STATE,
}
"""Instruction -> what it may change."""
_INSTRUCTIONS = set(_ADDING) | set(
    'PROTO STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE '
    'SHORT_BINSTRING EMPTY_TUPLE EMPTY_LIST EMPTY_DICT TUPLE TUPLE1 TUPLE2 TUPLE3 '
    'BINPUT LONG_BINPUT BINGET LONG_BINGET GLOBAL NEWOBJ REDUCE BINPERSID'.split()
)
"""What ``torch.save`` writes and PyTorch's unpickler reads."""


@dataclass(slots=True)
class _Part:
    """What an instruction leaves on the stack.

    Attributes:
        value: of a text, a number or a name; of the result of a call, what was called; otherwise
            the instruction.
        parts: of a tuple.
        size: how much it is, with all that is in it, as often as it is in it.
        depth: levels of parts in it.
        used: it is part of something else, so that its size may not change any more.
    """

    value: Any = None
    parts: Sequence[_Part] = ()
    size: int = 1
    depth: int = 0
    used: bool = False

    def take(self, parts: Sequence[_Part]) -> _Part:
        """Make other parts part of this one, and return it."""
        for part in parts:
            part.used = True
            self.size += part.size
            self.depth = max(self.depth, part.depth + 1)
        if self.depth > MAX_DEPTH:
            raise Refused(f'more than {MAX_DEPTH} levels of objects inside each other')
        return self


def scan(file: IO[bytes], size: int) -> dict[Any, int]:
    """Read through a pickle, and refuse one that PyTorch's unpickler should not be given.

    Args:
        file: read from where it stands to the end of the pickle.
        size: bytes of the whole file.

    Returns:
        The bytes of each storage of tensors that the pickle asks for, by the storage's name.

    Raises:
        Refused: it names something outside the list, nests or repeats too much, or has
            instructions that ``torch.save`` does not write.
        Exception: whatever broken bytes lead to.
    """
    stack: list[_Part] = []
    marks: list[int] = []
    memo: dict[int, _Part] = {}
    storages: dict[Any, int] = {}
    allowance = _ALLOWANCE + MAX_GROWTH * size
    argument: Any
    for instruction, argument, _ in pickletools.genops(file):
        name = instruction.name
        if name not in _INSTRUCTIONS:
            raise Refused(f'the instruction {name}, which torch.save does not write')
        if name in ('BINPUT', 'LONG_BINPUT'):
            memo[argument] = stack[-1]
        elif name in ('BINGET', 'LONG_BINGET'):
            stack.append(memo[argument])
            allowance -= stack[-1].size
        elif name == 'MARK':
            marks.append(len(stack))
        elif name == 'GLOBAL':
            stack.append(_Part(_permitted(*argument.split(' ', 1))))
        elif name not in ('PROTO', 'STOP'):
            at = len(stack) - len(instruction.stack_before)
            if pickletools.markobject in instruction.stack_before:
                at = marks.pop() - instruction.stack_before.index(pickletools.markobject)
            taken = stack[at:]
            del stack[at:]
            if name in ('REDUCE', 'NEWOBJ', 'BUILD'):
                allowance -= taken[-1].size
            if name == 'BINPERSID':
                key, nbytes = _storage(*taken)
                storages[key] = max(nbytes, storages.get(key, 0))
                taken = []
            stack.append(_made(name, argument, taken))
        if allowance < 0:
            raise Refused('far more data than the file holds')
    return storages


def _permitted(module: str, name: str) -> str:
    """Return a name as Python 3 has it, if it is one that checkpoints need."""
    module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
    mentioned = module in ('torch', 'torch.cuda', 'torch.storage') and (
        name.endswith('Storage') or isinstance(getattr(torch, name, None), torch.dtype)
    )
    if f'{module}.{name}' not in _CALLED and not mentioned:
        raise Refused(f'{module}.{name}')
    return f'{module}.{name}'


def _made(instruction: str, argument: Any, taken: list[_Part]) -> _Part:
    """Return what an instruction makes of the parts that it takes off the stack."""
    if instruction in _ADDING:
        target, *added = taken
        target.take(added)
        if target.used:
            raise Refused('a change of what is part of something else')
        if target.value not in _ADDING[instruction]:
            raise Refused(f'a change ({instruction}) of {target.value or "something computed"}')
        return target
    if not taken:
        value = instruction if argument is None else argument
        return _Part(value, size=1 + len(argument) if isinstance(argument, str) else 1)
    part = _Part(parts=taken if instruction.startswith('TUPLE') else ()).take(taken)
    if instruction in ('REDUCE', 'NEWOBJ'):
        function, arguments = taken
        part.value = f'{function.value or "something computed"}(…)'
        if function.value not in _CALLED or (
            function.value in _WITHOUT_ARGUMENTS and arguments.size > 1
        ):
            raise Refused(part.value)
        encoding = [argument.value for argument in arguments.parts[1:]]
        if function.value == '_codecs.encode' and encoding != ['latin1']:  # others take long
            raise Refused(f'_codecs.encode(…, {", ".join(map(repr, encoding))[:60]})')
    return part


def _storage(identifier: _Part) -> tuple[Any, int]:
    """Return the name of a storage of tensors and its bytes."""
    if identifier.size > _MAX_STORAGE_NAME:  # it is looked up and printed
        raise Refused(f'a storage whose name has more than {_MAX_STORAGE_NAME} parts')
    _, kind, key, _, numel, *_ = (part.value for part in identifier.parts)
    name = kind.rpartition('.')[2]
    itemsize = 1 if name == 'UntypedStorage' else StorageType(name).dtype.itemsize
    return key, numel * itemsize
