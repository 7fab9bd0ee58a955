"""Files of a few bytes that ask for the whole machine, read in processes of their own."""

import json
import os
import pickle
import random
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from pickle_code import (
    DICT,
    LEGACY,
    LIST,
    PAIR,
    TUPLE1,
    again,
    array,
    call,
    deep,
    doubled,
    doubled_list,
    dtype,
    keep,
    name,
    number,
    raw,
    storage,
    tensor,
    text,
    write,
)
from tiny_run import run

from mspose_plugin.checkpoint.loading import (
    BrokenCheckpointError,
    UnsafeCheckpointError,
    load_checkpoint_file,
)
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
DEEP = deep(160_000)
"""Far beyond the C stack."""
MANY = number(10**11)
RANGE = call('builtins.range', MANY)
ORDERED = call('collections.OrderedDict')
HISTORY = 'mmengine.logging.history_buffer.HistoryBuffer'
HOSTILE = {
    'deep tuple as a key': DICT + DEEP + b'Ns',
    'deep tuple as a key of many': DICT + b'(' + DEEP + b'Nu',
    'deep tuple as a key of an OrderedDict': ORDERED + DEEP + b'Ns',
    'deep tuple in set()': call('builtins.set', LIST + DEEP + b'a'),
    'deep tuple in frozenset()': call('builtins.frozenset', LIST + DEEP + b'a'),
    'deep tuple in OrderedDict()': call(
        'collections.OrderedDict', LIST + DEEP + b'N' + PAIR + b'a'
    ),
    'deep tuple in Counter()': call('collections.Counter', DEEP + TUPLE1),
    'deep tuple as a storage': storage(DEEP),
    'deep tuple': DEEP,
    'deep list': LIST * 100_000 + b'a' * 99_999,
    'deep OrderedDict': (ORDERED + b'K\x00') * 50_000 + b'N' + b's' * 50_000,
    'deep frozensets': name('builtins.frozenset')
    + keep()
    + again() * 2000
    + b')'
    + TUPLE1
    + (b'R' + TUPLE1) * 2000,
    'deep slices': name('builtins.slice') + keep() + again() * 3000 + b'N' + (TUPLE1 + b'R') * 3000,
    'doubled tuple': doubled(),
    'doubled tuple as a key': DICT + doubled() + b'Ns',
    'doubled tuple in set()': call('builtins.set', LIST + doubled() + b'a'),
    'doubled tuple in a message': call('builtins.getattr', b'N', doubled()),
    'doubled tuple as an encoding': call('_codecs.encode', text('x'), doubled()),
    'doubled tuple as a function': doubled() + b')R',
    'doubled tuple as a class': doubled() + b')\x81',
    'doubled list as a storage': storage(doubled_list()),
    'doubled behind its back': LIST + keep(1) + again(1) + again(1) + PAIR + b'a',
    'list in itself': LIST + keep() + again() + b'a',
    'long tuple as every key': b'('
    + DICT
    + b'('
    + b'K\x00' * 50_000
    + b't'
    + keep()
    + b'N'
    + (again() + b'N') * 50_000
    + b'ut',
    'set of a range': call('builtins.set', RANGE),
    'bytes of a size': call('builtins.bytes', MANY),
    'bytearray of a size': call('builtins.bytearray', MANY),
    'Counter of a range': call('collections.Counter', RANGE),
    'torch.Size of a range': call('torch.Size', RANGE),
    'storage of a size': call('torch.UntypedStorage', MANY),
    'tensor of a size': call('torch.FloatTensor', MANY),
    'HistoryBuffer of arguments': call(HISTORY, LIST, LIST, MANY),
    'the same text copied': b'('
    + text('x' * 100_000)
    + keep()
    + call('_codecs.encode', again(), text('latin1')) * 20_000
    + b't',
    'the same list made sets': b'('
    + LIST
    + b'('
    + b''.join(number(i) for i in range(4000))
    + b'e'
    + keep()
    + (name('builtins.set') + again() + TUPLE1 + b'R') * 20_000
    + b't',
    'item of a torch.Size': call('torch.Size', b')') + b'K\x00K\x00s',
    'element of a set': call('builtins.set') + b'K\x00a',
    'array without a size': array(dtype('S0'), raw(''), 1 << 62),
}
CUT = {
    'a text of a size it does not have': b'X\xff\xff\xff\xffx',
    'a number of a size it does not have': b'\x8a\xffx',
    'array beyond its bytes': array(dtype('f8'), raw('a' * 8), 10**6),
    'array of nothing': array(dtype('f8'), b'N', 10**11),
    'scalar of nothing': call('numpy.core.multiarray.scalar', dtype('f8'), raw('a')),
    'history of nothing': name(HISTORY)
    + b')\x81}'
    + text('max_length')
    + b'K\x01s'
    + text('_log_history')
    + b'Ns'
    + text('_count_history')
    + b'Nsb',
}
HARMLESS = {
    'some levels': deep(50),
    'a list in a list': LIST * 50 + b'a' * 49,
    'a place far away in the memo': LIST + b'r\xff\xff\xff\x7f',
    'short tuples as keys': DICT + b'(K\x01K\x02\x86K\x03\x86' + b'Nu',
    'the same list often': b'('
    + LIST
    + b'('
    + b'K\x00' * 100
    + b'e'
    + keep()
    + again() * 1000
    + b't',
    'Python 2': call('collections.OrderedDict', LIST + LIST + b'(U\x01aK\x01ea'),
}
FORMATS = ('zip', 'legacy')
HEADER_CASES = {'deep': LIST + DEEP + b'a', 'doubled': doubled_list()}  # looked up and printed


@pytest.fixture(scope='module')
def answers(tmp_path_factory):
    """Return what the reader says of each file, by the file's name."""
    folder = tmp_path_factory.mktemp('hostile')
    (folder / 'read.py').write_text(READ)
    for case, code in {**HOSTILE, **CUT, **HARMLESS}.items():
        for kind in FORMATS:
            write(folder / f'{case}.{kind}', code, kind == 'legacy')
    for case, code in HEADER_CASES.items():
        for at in range(5):
            parts = [*LEGACY[:at], b'\x80\x02' + code + b'.', *LEGACY[at + 1 :]]
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
    assert f'{case}.{kind}: refused' in said and '\n' not in said and len(said) < 700


@pytest.mark.parametrize('kind', FORMATS)
@pytest.mark.parametrize('case', CUT)
def test_sizes_are_not_believed(answers, case, kind):
    assert answers[f'{case}.{kind}'].startswith('BrokenCheckpointError')


@pytest.mark.parametrize('kind', FORMATS)
@pytest.mark.parametrize('case', HARMLESS)
def test_what_is_unusual_does_no_harm(answers, case, kind):
    assert answers[f'{case}.{kind}'] == 'loaded'


@pytest.mark.parametrize('at', range(5))
@pytest.mark.parametrize('case', HEADER_CASES)
def test_headers_of_the_legacy_format(answers, at, case):
    said = answers[f'{case}.{at}']
    assert 'Error: checkpoint' in said and '\n' not in said


# ---------------------------------------------------------------- states


MEAN = call('builtins.getattr', name(HISTORY), text('mean'))
NONE3 = b'NNN'
STATES = {  # what is said of a state for what has none, or of one that would break its owner
    'a change (BUILD) of collections.Counter(…)': call('collections.Counter')
    + b'}'
    + text('items')
    + name('builtins.set')
    + b'sb',
    'a change (BUILD) of collections.Counter,': name('collections.Counter')
    + b'N}'
    + text('update')
    + name('builtins.set')
    + b's'
    + PAIR
    + b'b',
    'a change (BUILD) of torch.Size(…)': call('torch.Size', b')') + b'}b',
    'a change (BUILD) of torch._utils._rebuild_tensor_v2(…)': tensor(storage(text('0'))) + b')b',
    'a change (SETITEM) of torch._utils._rebuild_tensor_v2(…)': tensor(storage(text('0')))
    + b'K\x00K\x00s',
    'a change (APPEND) of EMPTY_DICT': DICT + b'Na',
    'the instruction EXT1': b'\x82\x01',
    'the instruction INST': b'(' + text('true') + b'ios\nsystem\n',
    'the instruction OBJ': b'(' + name('builtins.set') + text('true') + b'o',
    'the instruction DUP': b'N2',
    'the instruction FRAME': pickle.dumps(dict(a=[1] * 9), 4),
    'builtins.getattr(…)(…)': MEAN + b')R',
    'something computed(…)': b'NN' + PAIR + b')R',
    'collections.OrderedDict.__init__': b'ccollections\nOrderedDict.__init__\n',
    'numpy.dtype with a state': dtype('f8', text('|') + text('O') + TUPLE1 + b'NN'),
    "numpy.dtype('O8')": array(
        dtype('O8', text('|') + NONE3 + number(-1) * 2 + b'K\x00'), raw('a' * 8)
    ),
    "numpy.dtype('V8')": dtype('V8'),
    "numpy.dtype('f8,O')": dtype('f8,O'),
    'a change of what is part of something else': LIST + keep() + TUPLE1 + again() + b'Na',
}


@pytest.mark.parametrize('said', STATES)
@pytest.mark.parametrize('legacy', [False, True], ids=['zip', 'legacy'])
def test_hostile_state_is_refused_by_name(tmp_path, said, legacy):
    path = write(tmp_path / 'state.pth', STATES[said], legacy)
    with pytest.raises(UnsafeCheckpointError) as e:
        load_checkpoint_file(path)
    assert str(path) in str(e.value) and said in str(e.value) and '\n' not in str(e.value)


def test_the_state_of_a_dtype_sets_the_byte_order_alone(tmp_path):
    """NumPy itself would take over a size of a megabyte per number, and read past the array."""
    state = text('>') + NONE3 + number(1 << 20) + number(8) + number(0)
    path = write(tmp_path / 'a.pth', array(dtype('f8', state), raw('a' * 16), 2))
    loaded = load_checkpoint_file(path)
    assert type(loaded) is np.ndarray and loaded.dtype == np.dtype('>f8') and loaded.shape == (2,)


def test_history_buffer_keeps_the_class_statistics(tmp_path, monkeypatch):
    buffer = HistoryBuffer([1.0, 3.0], [1, 1])
    state = {**vars(buffer), 'statistics_methods': {'mean': set, 'max': frozenset}, 'mean': 'x'}
    with monkeypatch.context() as m:
        m.setattr(HistoryBuffer, '__getstate__', lambda self: state)
        torch.save(dict(x=buffer), tmp_path / 'a.pth')
    loaded = load_checkpoint_file(tmp_path / 'a.pth')['x']
    assert type(loaded) is HistoryBuffer and loaded.statistics('mean') == loaded.mean() == 2
    assert HistoryBuffer._statistics_methods['mean'] is HistoryBuffer.mean


def test_attributes_do_not_hide_methods(tmp_path):
    """PyTorch sets any; state dicts have ``_metadata``."""
    state = DICT + text('items') + name('builtins.set') + b's' + text('_metadata') + DICT + b's'
    path = write(tmp_path / 'a.pth', call('collections.OrderedDict') + state + b'bK\x01K\x02s')
    loaded = load_checkpoint_file(path)
    assert vars(loaded) == dict(_metadata={}) and list(loaded.items()) == [(1, 2)]


def test_what_others_have_allowed_does_not_count(tmp_path):
    torch.save(dict(a=np.dtype('f8'), b=np.ones(2)), tmp_path / 'a.pth')
    write(tmp_path / 'b.pth', call('random.Random'))
    torch.serialization.add_safe_globals([np.dtype, np.ndarray, random.Random])
    before = set(torch.serialization.get_safe_globals())
    try:
        for _ in range(3):
            loaded = load_checkpoint_file(tmp_path / 'a.pth')
            assert loaded['a'] == np.float64 and loaded['b'].sum() == 2
            with pytest.raises(UnsafeCheckpointError, match='random.Random'):
                load_checkpoint_file(tmp_path / 'b.pth')
        assert set(torch.serialization.get_safe_globals()) == before
    finally:
        torch.serialization.clear_safe_globals()


# ---------------------------------------------------------------- tensors


def test_a_storage_larger_than_the_file(tmp_path):
    """PyTorch before 2.10 reads past the record; legacy storages need not be filled at all."""
    for size in (3, 10**12):
        path = write(
            tmp_path / 'a.pth', tensor(storage(text('0'), size), size), **{'data/0': bytes(8)}
        )
        with pytest.raises(UnsafeCheckpointError, match='a tensor larger than its record data/0'):
            load_checkpoint_file(path)
    path = write(tmp_path / 'b.pth', tensor(storage(text('0'), 10**9)), legacy=True)
    with pytest.raises(BrokenCheckpointError, match='b.pth: cut short'):
        load_checkpoint_file(path)
    # a storage that PyTorch lets grow with its tensor, and does not fill
    grown = tensor(storage(text('0'), 1, view=b'N'), 10**9)
    with pytest.raises(UnsafeCheckpointError, match='a tensor far larger than its storage'):
        load_checkpoint_file(write(tmp_path / 'c.pth', grown, legacy=True))


def test_hooks_do_not_nest(tmp_path):
    """Tensors are taken apart on the C stack, one in the hooks of another."""
    hooks = call('collections.OrderedDict')
    code = tensor(storage(text('0')))
    for _ in range(200):
        code = tensor(storage(text('0')), hooks=hooks + b'K\x00' + code + b's')
    write(tmp_path / 'a.pth', code, **{'data/0': bytes(4)})
    with pytest.raises(UnsafeCheckpointError, match='levels of objects inside each other'):
        load_checkpoint_file(tmp_path / 'a.pth')
    write(
        tmp_path / 'b.pth',
        tensor(storage(text('0')), hooks=hooks + b'K\x00' + name('builtins.set') + b's'),
        **{'data/0': bytes(4)},
    )
    assert load_checkpoint_file(tmp_path / 'b.pth')._backward_hooks is None


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
    with pytest.raises(InputError, match='refused, it asks for more room than the file'):
        load_checkpoint_file(tmp_path / 'a.pth')


def test_checking_costs_little(tmp_path):
    """Reading once more what is read anyway: about a second per gigabyte."""
    torch.save(dict(a=torch.ones(1 << 22)), tmp_path / 'a.pth')  # 16 MB
    before = os.times().user
    load_checkpoint_file(tmp_path / 'a.pth')
    assert os.times().user - before < 1
