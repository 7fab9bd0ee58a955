"""Files of a few bytes that ask for the whole machine, read in processes of their own."""

import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from tiny_run import run

from mspose_plugin.checkpoint.loading import BrokenCheckpointError, load_checkpoint_file
from mspose_plugin.utils.errors import InputError

READ = '''
import json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))
from mspose_plugin.checkpoint.loading import load_checkpoint_file
from mspose_plugin.utils.errors import InputError
for path in sys.argv[1:]:
    said = 'loaded'
    try:
        load_checkpoint_file(path)
    except InputError as e:
        said = f'{type(e).__name__}: {e}'
    print(json.dumps([path, said]), flush=True)
'''
DEEP = 160_000
"""Levels: far beyond the C stack."""


def text(value: str) -> bytes:
    """Push a text."""
    return b'\x8c' + bytes([len(value)]) + value.encode()


def name(value: str) -> bytes:
    """Push what a dotted name stands for."""
    module, _, attribute = value.rpartition('.')
    return text(module) + text(attribute) + b'\x93'


def call(function: str, *args: bytes) -> bytes:
    """Push the result of a call."""
    return name(function) + b'(' + b''.join(args) + b'tR'


def number(value: int) -> bytes:
    """Push a number."""
    data = value.to_bytes(9, 'little', signed=True)
    return b'\x8a\x09' + data


def nested(first: bytes, wrap: bytes, levels: int = DEEP) -> bytes:
    """Push something inside of itself, level by level."""
    return first + wrap * levels


def doubled(levels: int = 60) -> bytes:
    """Push ((x, x), (x, x)) …, each level holding the one below twice."""
    return b')' + b'2\x86' * levels


MANY = 10**11
LIST, DICT, SET, TUPLE1 = b']', b'}', b'\x8f', b'\x85'
HOSTILE = {
    'deep tuple as a key': DICT + nested(b')', TUPLE1) + b'Ns',
    'deep tuple as a key of many': DICT + b'(' + nested(b')', TUPLE1) + b'Nu',
    'deep tuple as a key, protocol 0': b'(' + nested(b')', TUPLE1) + b'Nd',
    'deep tuple as a key of an OrderedDict': call('collections.OrderedDict')
    + nested(b')', TUPLE1)
    + b'Ns',
    'deep tuple in a set': SET + b'(' + nested(b')', TUPLE1) + b'\x90',
    'deep tuple in set()': call('builtins.set', LIST + nested(b')', TUPLE1) + b'a'),
    'deep tuple in frozenset()': call('builtins.frozenset', LIST + nested(b')', TUPLE1) + b'a'),
    'deep tuple in a frozenset': b'(' + nested(b')', TUPLE1) + b'\x91',
    'deep tuple in OrderedDict()': call(
        'collections.OrderedDict', LIST + nested(b')', TUPLE1) + b'N\x86a'
    ),
    'deep tuple in Counter()': call('collections.Counter', nested(b')', TUPLE1) + TUPLE1),
    'deep tuple as a storage': b'('
    + text('storage')
    + name('torch.FloatStorage')
    + nested(b')', TUPLE1)
    + text('cpu')
    + b'K\x01tQ',
    'deep frozensets': nested(b'(\x91', b'q\x000(h\x00\x91', 2000) + b'q\x000}h\x00Ns',
    'deep slices': nested(b'N', b'q\x000' + name('builtins.slice') + b'h\x00\x85R', 3000),
    'doubled tuple as a key': DICT + doubled() + b'Ns',
    'doubled tuple in a set': SET + b'(' + doubled() + b'\x90',
    'doubled tuple in a message': call('builtins.getattr', b'N', doubled()),
    'doubled tuple as an encoding': call('_codecs.encode', text('x'), doubled()),
    'doubled list as a storage': b'('
    + text('x')
    + nested(LIST, b'q\x000](h\x00h\x00e', 60)
    + b'tQ',
    'set of a range': call('builtins.set', call('builtins.range', number(MANY))),
    'list of a range': LIST
    + b'('
    + call('builtins.range', number(MANY))
    + b'e'
    + call('builtins.set', call('builtins.range', number(MANY))),
    'bytes of a size': call('builtins.bytes', number(MANY)),
    'bytearray of a size': call('builtins.bytearray', number(MANY)),
    'Counter of a range': call('collections.Counter', call('builtins.range', number(MANY))),
    'torch.Size of a range': call('torch.Size', call('builtins.range', number(MANY))),
    'HistoryBuffer of arguments': call(
        'mmengine.logging.history_buffer.HistoryBuffer', LIST, LIST, number(MANY)
    ),
    'nested defaultdicts': nested(
        call('collections.defaultdict') + b'q\x010',
        b'h\x01q\x000' + call('collections.defaultdict') + b'q\x01K\x01h\x00s0',
        20000,
    )
    + b'h\x01',
    'the same bytes copied': b'B'
    + struct.pack('<I', 100_000)
    + bytes(100_000)
    + b'q\x000('
    + (name('builtins.bytearray') + b'q\x010')
    + b'h\x01h\x00\x85R' * 20_000
    + b't',
    'the same list made sets': LIST
    + b'('
    + b''.join(number(i) for i in range(4000))
    + b'eq\x000'
    + name('builtins.set')
    + b'q\x010('
    + b'h\x01h\x00\x85R' * 20_000
    + b't',
    'item of a tensor': call('torch.Size') + b'K\x00K\x00s',
    'element of a bytearray': b'\x96' + struct.pack('<Q', 1) + b'x' + b'K\x00a',
    'array without a size': call(
        'numpy._core.multiarray._reconstruct', name('numpy.ndarray'), b'K\x00\x85', b'C\x01b'
    )
    + b'(K\x01'
    + number(1 << 62)
    + TUPLE1
    + call('numpy.dtype', text('S0'), b'\x89', b'\x88')
    + b'\x89C\x00tb',
    'instance': b'(c__main__\nX\no',
}
CUT = {
    'bytearray of a size it does not have': b'\x96' + struct.pack('<Q', 1 << 40) + b'x',
    'bytes of a size they do not have': b'\x8e' + struct.pack('<Q', 1 << 40) + b'x',
    'a text of a size it does not have': b'\x8d' + struct.pack('<Q', 1 << 40) + b'x',
}
HARMLESS = {
    'deep tuple': nested(b')', TUPLE1),
    'deep list': nested(LIST, b'q\x000]h\x00a', 100_000),
    'deep dict': nested(DICT, b'q\x000}K\x00h\x00s', 100_000),
    'deep OrderedDict': nested(
        DICT, b'q\x000' + call('collections.OrderedDict') + b'K\x00h\x00s', 50_000
    ),
    'deep list in defaultdicts': nested(
        DICT, b'q\x000' + call('collections.defaultdict') + b'K\x00]h\x00as', 50_000
    ),
    'doubled': doubled(),
    'list in itself': LIST + b'q\x00h\x00a',
    'a place far away in the memo': LIST + b'r\xff\xff\xff\x7f',
    'short tuples as keys': DICT + b'(K\x01K\x02\x86K\x03\x86' + b'Nu',
}


def write(path: Path, data: bytes, legacy: bool) -> None:
    """Write a pickle as the content of a checkpoint of one of the two formats."""
    if legacy:
        path.write_bytes(b''.join(HEADERS[:3]) + data + HEADERS[4])
        return
    with zipfile.ZipFile(path, 'w') as f:
        for entry, content in (('data.pkl', data), ('byteorder', b'little'), ('version', b'3\n')):
            f.writestr(f'archive/{entry}', content)


HEADERS = [
    pickle.dumps(x, 2)
    for x in (0x1950A86A20F9469CFC6C, 1001, dict(little_endian=True), dict(a=1), [])
]
"""What the legacy format holds beside the content, which is the fourth."""
HEADER_CASES = {
    'deep': LIST + nested(b')', TUPLE1) + b'a',  # names of storages are looked up
    'doubled': nested(LIST, b'q\x000](h\x00h\x00e', 60),  # a version is printed
}
FORMATS = ('zip', 'legacy')


@pytest.fixture(scope='module')
def answers(tmp_path_factory):
    """Return what the reader says of each file, by the file's name."""
    folder = tmp_path_factory.mktemp('hostile')
    (folder / 'read.py').write_text(READ)
    for case, data in {**HOSTILE, **CUT, **HARMLESS}.items():
        for kind in FORMATS:
            write(folder / f'{case}.{kind}', b'\x80\x04' + data + b'.', kind == 'legacy')
    for case, data in HEADER_CASES.items():
        for at in range(5):
            parts = [*HEADERS[:at], b'\x80\x04' + data + b'.', *HEADERS[at + 1 :]]
            (folder / f'{case}.{at}').write_bytes(b''.join(parts))
    said = {}
    waiting = sorted(p for p in folder.iterdir() if p.suffix not in ('.py', '.txt'))
    while waiting:
        done = run([folder / 'read.py', *waiting[:40]], folder, timeout=120)
        read = dict(json.loads(line) for line in done.out.splitlines())
        said.update({Path(path).name: answer for path, answer in read.items()})
        waiting = waiting[len(read) :]
        if done.status:  # the process is gone; go on behind the file that it was reading
            said[waiting.pop(0).name] = f'ended with {done.status}: {done.err[-2000:]}'
    return said


@pytest.mark.parametrize('kind', FORMATS)
@pytest.mark.parametrize('case', HOSTILE)
def test_what_uses_up_the_machine_is_refused(answers, case, kind):
    said = answers[f'{case}.{kind}']
    assert said.startswith('UnsafeCheckpointError: checkpoint '), said
    assert f'{case}.{kind}: refused' in said and '\n' not in said and len(said) < 600


@pytest.mark.parametrize('kind', FORMATS)
@pytest.mark.parametrize('case', CUT)
def test_sizes_are_not_believed(answers, case, kind):
    assert answers[f'{case}.{kind}'].startswith('BrokenCheckpointError')


@pytest.mark.parametrize('kind', FORMATS)
@pytest.mark.parametrize('case', HARMLESS)
def test_depth_alone_does_no_harm(answers, case, kind):
    assert answers[f'{case}.{kind}'] == 'loaded'


@pytest.mark.parametrize('at', range(5))
@pytest.mark.parametrize('case', HEADER_CASES)
def test_headers_of_the_legacy_format(answers, at, case):
    said = answers[f'{case}.{at}']
    if at == 3:  # the content itself
        assert said == 'loaded'
    else:
        assert 'Error: checkpoint' in said and '\n' not in said


def test_a_tensor_far_larger_than_its_storage(tmp_path):
    torch.save(dict(a=torch.ones(1).expand(1 << 40)), tmp_path / 'a.pth')
    with pytest.raises(InputError, match='a tensor far larger than its storage of 1 elements'):
        load_checkpoint_file(tmp_path / 'a.pth')
    torch.save(dict(a=torch.ones(1).expand(1000), b=torch.ones(3, 0)), tmp_path / 'b.pth')
    assert load_checkpoint_file(tmp_path / 'b.pth')['a'].shape == (1000,)


def test_hooks_of_a_tensor_are_dropped(tmp_path):
    parameter = torch.nn.Parameter(torch.ones(2))
    parameter.register_hook(print)
    torch.save(dict(a=parameter), tmp_path / 'a.pth')
    assert not load_checkpoint_file(tmp_path / 'a.pth')['a']._backward_hooks


# ---------------------------------------------------------------- what flips or unpacks


def test_each_flipped_byte_of_a_tensor_is_named(tmp_path):
    path = tmp_path / 'a.pth'
    torch.save(dict(state_dict=dict(a=torch.full((1000,), 7.0), b=torch.full((10,), 8.0))), path)
    data = bytearray(path.read_bytes())
    for value, record in ((7.0, 'data/0'), (8.0, 'data/1')):
        at = data.index(struct.pack('<f', value))
        data[at] ^= 1
        path.write_bytes(data)
        with pytest.raises(
            BrokenCheckpointError,
            match=rf'{path}: damaged, the checksum of its '
            rf'record \S*/{record} does not match',
        ):
            load_checkpoint_file(path)
        data[at] ^= 1
    path.write_bytes(data)
    assert load_checkpoint_file(path)['state_dict']['a'].sum() == 7000


def test_files_without_checksums_are_read(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(dict(a=torch.ones(5)), tmp_path / 'a.pth')
    finally:
        torch.serialization.set_crc32_options(True)
    assert load_checkpoint_file(tmp_path / 'a.pth')['a'].sum() == 5


def test_archives_that_unpack_to_more_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / 'a.pth', 'w', zipfile.ZIP_DEFLATED) as f:
        f.writestr('archive/data.pkl', pickle.dumps('x' * 10**7, 2))
        f.writestr('archive/version', '3')
    with pytest.raises(InputError, match='refused, its zip archive unpacks to more'):
        load_checkpoint_file(tmp_path / 'a.pth')


def test_checking_costs_little(tmp_path):
    """Reading once more what is read anyway: about a second per gigabyte."""
    torch.save(dict(a=torch.ones(1 << 22)), tmp_path / 'a.pth')  # 16 MB
    before = os.times().user
    load_checkpoint_file(tmp_path / 'a.pth')
    assert os.times().user - before < 1
