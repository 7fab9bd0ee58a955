"""Pickles of protocol 2, which ``torch.save`` writes, put together by hand."""

import pickle
import zipfile
from pathlib import Path

LIST, DICT, TUPLE1, PAIR, POOL = b']', b'}', b'\x85', b'\x86', b'('


def text(value: str) -> bytes:
    """Push a text."""
    data = value.encode()
    return b'X' + len(data).to_bytes(4, 'little') + data


def number(value: int) -> bytes:
    """Push a number."""
    return b'\x8a\x09' + value.to_bytes(9, 'little', signed=True)


def name(value: str) -> bytes:
    """Push what a dotted name stands for."""
    module, _, attribute = value.rpartition('.')
    return f'c{module}\n{attribute}\n'.encode()


def call(function: str, *args: bytes) -> bytes:
    """Push the result of a call."""
    return name(function) + b'(' + b''.join(args) + b'tR'


def keep(at: int = 0) -> bytes:
    """Keep the last value in the memo."""
    return b'q' + bytes([at])


def again(at: int = 0) -> bytes:
    """Push a kept value."""
    return b'h' + bytes([at])


def deep(levels: int) -> bytes:
    """Push (((…)))."""
    return b')' + TUPLE1 * levels


def doubled(levels: int = 60) -> bytes:
    """Push ((x, x), (x, x)) …, each level holding the one below twice."""
    return b')' + (keep() + again() + PAIR) * levels


def doubled_list(levels: int = 60) -> bytes:
    """Push the like as lists."""
    return b'](' * levels + LIST + (keep() + again() + b'e') * levels


def storage(key: bytes, numel: int = 1, view: bytes = b'') -> bytes:
    """Push a storage of tensors; the format before zip has a view, None, at the end."""
    kind = name('torch.FloatStorage')
    return b'(' + text('storage') + kind + key + text('cpu') + number(numel) + view + b'tQ'


def tensor(of: bytes, size: int = 1, hooks: bytes = call('collections.OrderedDict')) -> bytes:
    """Push a tensor of a storage."""
    shape = number(size) + TUPLE1 + b'K\x01' + TUPLE1
    return call('torch._utils._rebuild_tensor_v2', of, b'K\x00', shape, b'\x89', hooks)


def raw(data: str) -> bytes:
    """Push bytes."""
    return call('_codecs.encode', text(data), text('latin1'))


def dtype(code: str, state: bytes = b'') -> bytes:
    """Push a ``numpy.dtype``; the state follows on its version, 3."""
    made = call('numpy.dtype', text(code), b'\x89', b'\x88')
    return made + b'(K\x03' + state + b'tb' if state else made


def array(kind: bytes, data: bytes, size: int = 1) -> bytes:
    """Push a ``numpy.ndarray`` with a state."""
    core = 'numpy.core.multiarray'
    made = call(f'{core}._reconstruct', name('numpy.ndarray'), b'K\x00' + TUPLE1, raw('b'))
    return made + b'(K\x01' + number(size) + TUPLE1 + kind + b'\x89' + data + b'tb'


LEGACY = [
    pickle.dumps(x, 2)
    for x in (0x1950A86A20F9469CFC6C, 1001, dict(little_endian=True), dict(a=1), [])
]
"""What the format before zip holds; the content is the fourth."""


def write(path: Path, code: bytes, legacy: bool = False, **records: bytes) -> Path:
    """Write a checkpoint with a pickle as its content.

    Args:
        path: the file.
        code: what pushes the content.
        legacy: the format before zip. Default: False.
        **records: more records of the zip archive, by name.
    """
    data = code if code.startswith(b'\x80') else b'\x80\x02' + code + b'.'
    if legacy:
        path.write_bytes(b''.join(LEGACY[:3]) + data + LEGACY[4])
        return path
    with zipfile.ZipFile(path, 'w') as f:
        records = {'data.pkl': data, 'byteorder': b'little', 'version': b'3\n', **records}
        for record, content in records.items():
            f.writestr(f'archive/{record}', content)
    return path
