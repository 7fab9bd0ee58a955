"""Reading checkpoints without running their code."""

import functools
import io
import operator
import os
import pickle
import random
import re
import subprocess
import tarfile
from collections import Counter, OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.apis import DetInferencer
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.optim import MultiStepLR, OneCycleLR, OptimWrapper
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.runner import load_checkpoint
from mmpose.apis.inferencers import Pose2DInferencer
from pickle_code import write
from tiny_run import TRAIN, run, write_config, write_mpii
from torch import nn

from mspose_plugin.checkpoint import pickle_scan, unpickling
from mspose_plugin.checkpoint.loading import UnsafeCheckpointError, load_checkpoint_file
from mspose_plugin.utils.errors import InputError


def mmengine_like() -> dict:
    """Return a dict with everything that mmengine's Runner puts in a checkpoint."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scheduler = MultiStepLR(OptimWrapper(optimizer), milestones=[2, 5, 5])
    model(torch.rand(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    hub = MessageHub.get_instance('test_loading')
    for i in range(3):
        hub.update_scalar('train/loss', float(i))
    hub.update_info('best_score', np.float64(12.5))
    return dict(
        meta=dict(
            epoch=3,
            iter=12,
            seed=0,
            cfg='model = dict()',
            time='20260101_000000',
            dataset_meta=dict(
                sigmas=np.ones(16, np.float32),
                flip_indices=[1, 0],
                names={'a', 'b'},
                colors=np.zeros((3, 3), np.uint8),
                labels=np.array(['left', 'right']),
            ),
        ),
        state_dict=model.state_dict(),
        ema_state_dict=model.state_dict(),
        message_hub=hub.state_dict(),
        optimizer=optimizer.state_dict(),
        param_schedulers=[scheduler.state_dict()],
        parameter=nn.Parameter(torch.ones(2)),
        half=torch.ones(3, dtype=torch.bfloat16),
        counts=Counter(a=2),
        device=torch.device('cpu'),
        size=torch.Size([1, 2]),
        raw=b'\x00\xff',
        dtype=torch.float16,
        more=[1j, slice(1, 2), frozenset('a'), b'', np.bool_(True)],
    )


@pytest.fixture(params=[True, False], ids=['zip', 'legacy'])
def saved(request, tmp_path):
    """Return a checkpoint's path, its content, and a function that saves others like it."""

    def save(content, name='other.pth'):
        torch.save(content, tmp_path / name, _use_new_zipfile_serialization=request.param)
        return tmp_path / name

    content = mmengine_like()
    return save(content, 'epoch_3.pth'), content, save


def test_mmengine_checkpoint_loads(saved):
    path, content, _ = saved
    loaded = load_checkpoint_file(path, 'cpu')
    for name in ('state_dict', 'ema_state_dict'):
        assert list(loaded[name]) == list(content[name])
        for key, value in content[name].items():
            assert torch.equal(loaded[name][key], value)
    assert loaded['state_dict']._metadata == content['state_dict']._metadata
    assert loaded['meta'].keys() == content['meta'].keys()
    for key in ('sigmas', 'colors', 'labels'):
        ours, theirs = loaded['meta']['dataset_meta'][key], content['meta']['dataset_meta'][key]
        assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs)
    for key in ('counts', 'device', 'size', 'raw', 'dtype', 'more', 'optimizer'):
        assert str(loaded[key]) == str(content[key]) and type(loaded[key]) is type(content[key])
    hub = MessageHub.get_instance('test_loading_resumed')
    hub.load_state_dict(loaded['message_hub'])
    assert hub.get_scalar('train/loss').mean() == 1 and hub.get_scalar('train/loss').current() == 2
    assert hub.get_info('best_score') == 12.5
    scheduler = MultiStepLR(OptimWrapper(torch.optim.SGD([nn.Parameter(torch.ones(1))], 1.0)), [1])
    scheduler.load_state_dict(loaded['param_schedulers'][0])
    assert scheduler.milestones == Counter({5: 2, 2: 1})


def test_weights_only_refuses_what_we_load(saved):
    with pytest.raises(pickle.UnpicklingError, match='getattr|numpy|HistoryBuffer'):
        torch.load(saved[0], weights_only=True)


def test_numpy_1_checkpoint_loads(tmp_path):
    content = dict(scalar=np.float64(2.5), array=np.arange(6.0).reshape(2, 3))
    data = pickle.dumps(content, 2)
    for name in (b'numpy.core.multiarray', b'numpy._core.multiarray'):  # NumPy 1 and 2
        renamed = re.sub(rb'numpy\._?core\.multiarray', name, data)
        assert name in renamed
        write(tmp_path / 'old.pth', renamed)
        loaded = load_checkpoint_file(tmp_path / 'old.pth')
        assert loaded['scalar'] == 2.5 and np.array_equal(loaded['array'], content['array'])


def test_map_location(tmp_path):
    torch.save(dict(a=torch.ones(2)), tmp_path / 'a.pth')
    assert load_checkpoint_file(tmp_path / 'a.pth', 'meta')['a'].is_meta
    moved = load_checkpoint_file(tmp_path / 'a.pth', lambda storage, location: storage)
    assert torch.equal(moved['a'], torch.ones(2))


# ---------------------------------------------------------------- what must not run


class Call:
    """Pickles as a call."""

    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


CALLS = [
    ('posix.system', lambda mark: Call(os.system, f'touch {mark}')),
    ('builtins.eval', lambda mark: Call(eval, f'__import__("os").system("touch {mark}")')),
    ('builtins.exec', lambda mark: Call(exec, f'open({str(mark)!r}, "w")')),
    ('builtins.__import__', lambda mark: Call(__import__, 'os')),
    ('io.open', lambda mark: Call(open, str(mark), 'w')),
    ('subprocess.Popen', lambda mark: Call(subprocess.Popen, ('touch', str(mark)))),
    ('functools.partial', lambda mark: functools.partial(os.system, f'touch {mark}')),
    ('operator.attrgetter', lambda mark: Call(operator.attrgetter, '__class__')),
    ('torch.storage._load_from_bytes', lambda mark: Call(torch.storage._load_from_bytes, b'')),
    ('pickle.loads', lambda mark: Call(pickle.loads, pickle.dumps(Call(os.system, 'true')))),
    ('torch.serialization.load', lambda mark: Call(torch.load, str(mark))),
    ("builtins.getattr(…, 'fromkeys')", lambda mark: Call(getattr, OrderedDict, 'fromkeys')),
    *(
        (
            f"builtins.getattr(…, '{name}')",
            lambda mark, name=name: Call(getattr, HistoryBuffer, name),
        )
        for name in (
            '__init__',
            '__class__',
            '__subclasses__',
            'register_statistics',
            '_statistics_methods',
        )
    ),
    (
        "builtins.getattr(…, '__reduce_ex__')",
        lambda mark: Call(getattr, HistoryBuffer(), '__reduce_ex__'),
    ),
    ('builtins.getattr(…)(…)', lambda mark: Call(HistoryBuffer.mean, HistoryBuffer())),
    ("numpy.dtype('O8')", lambda mark: np.array([None], object)),
    ("_codecs.encode(…, 'rot13')", lambda mark: Call(__import__('_codecs').encode, 'a', 'rot13')),
    ('torch.nn.modules.linear.Linear', lambda mark: nn.Linear(1, 1)),
]


@pytest.mark.parametrize('name, make', CALLS, ids=[name for name, _ in CALLS])
def test_hostile_call_is_refused_by_name(saved, tmp_path, name, make):
    mark = tmp_path / 'pwned'
    content = make(mark)
    path = saved[2](dict(meta=dict(epoch=1), state_dict=OrderedDict(), x=content))
    with pytest.raises(UnsafeCheckpointError) as e:
        load_checkpoint_file(path)
    message = str(e.value)
    assert str(path) in message and name in message and '\n' not in message
    assert not mark.exists()


@pytest.mark.parametrize(
    'args',
    [
        (10**12, (10**6, 10**6), (10**6, 1)),
        (0, (-1, 2), (1, 1)),
        (0, (1 << 62, 4), (1, 1)),
        (-5, (2,), (1,)),
        (0, (2, 2), (1 << 62, 1 << 62)),
    ],
)
def test_tensor_beyond_its_storage_is_refused(tmp_path, args):
    storage = torch.ones(4)._typed_storage()
    call = Call(torch._utils._rebuild_tensor_v2, storage, *args, False, OrderedDict())
    torch.save(dict(x=call), tmp_path / 'a.pth')
    with pytest.raises(InputError):
        load_checkpoint_file(tmp_path / 'a.pth')


def test_every_pickle_of_the_legacy_format_is_guarded(tmp_path):
    pickles = [0x1950A86A20F9469CFC6C, 1001, dict(little_endian=True), dict(a=1), []]
    evil = pickle.dumps(Call(os.system, f'touch {tmp_path}/pwned'), 2)
    for i in range(len(pickles)):
        data = [evil if i == k else pickle.dumps(p, 2) for k, p in enumerate(pickles)]
        (tmp_path / 'a.pth').write_bytes(b''.join(data))
        with pytest.raises(
            InputError, match='posix.system' if i > 1 else 'not a file of torch.save'
        ):
            load_checkpoint_file(tmp_path / 'a.pth')
    assert not (tmp_path / 'pwned').exists()


def test_other_formats_of_torch_load_are_refused(tmp_path):
    write(tmp_path / 'script.pt', pickle.dumps({}, 2), **{'constants.pkl': b'x'})
    with pytest.raises(InputError, match='script.pt: a TorchScript archive'):
        load_checkpoint_file(tmp_path / 'script.pt')
    for first in ('storages', '\x80storages'):  # the second begins like a pickle
        with tarfile.open(tmp_path / 'old.tar', 'w', encoding='latin1') as f:
            for name in (first, 'storages', 'tensors', 'pickle'):
                info = tarfile.TarInfo(name)
                info.size = 4
                f.addfile(info, io.BytesIO(pickle.dumps(0, 2)[:4]))
        with pytest.raises(InputError, match='old.tar: not a file of torch.save'):
            load_checkpoint_file(tmp_path / 'old.tar')


def test_config_text_that_mmengine_would_execute_is_dropped(tmp_path):
    meta = dict(epoch=1, config=f'open({str(tmp_path / "pwned")!r}, "w")', cfg='kept = 1')
    torch.save(dict(meta=meta), tmp_path / 'a.pth')
    assert load_checkpoint_file(tmp_path / 'a.pth')['meta'] == dict(epoch=1, cfg='kept = 1')


@pytest.mark.parametrize('place', ['meta', 'message_hub'])
@pytest.mark.parametrize('inferencer', [Pose2DInferencer, DetInferencer])
def test_inferencers_do_not_run_the_config_in_a_checkpoint(tmp_path, place, inferencer):
    text = f'open({str(tmp_path / "pwned")!r}, "w")\nmodel = dict()'
    places = dict(meta=dict(cfg=text), message_hub=dict(runtime_info=dict(cfg=text)))
    torch.save({place: places[place], 'state_dict': {}}, tmp_path / 'a.pth')
    with pytest.raises(
        InputError,
        match=rf'{inferencer.__name__}: {tmp_path}/a.pth comes without '
        'a config; give the config',
    ):
        inferencer(None, weights=str(tmp_path / 'a.pth'))
    assert not (tmp_path / 'pwned').exists()


def test_resuming_does_not_run_it_either(tmp_path):
    config = write_config(tmp_path / 'tiny.py', write_mpii(tmp_path / 'mpii'))
    options = ['--work-dir', 'run', '--cfg-options', 'train_cfg.max_epochs=1']
    assert run([TRAIN, config, *options], tmp_path).status == 0
    checkpoint = load_checkpoint_file(tmp_path / 'run/epoch_1.pth')
    text = f'open({str(tmp_path / "pwned")!r}, "w")\ngpu_ids = [0]'
    checkpoint['meta'].update(cfg=text, config=text)
    checkpoint['message_hub']['runtime_info']['cfg'] = text
    torch.save(checkpoint, tmp_path / 'run/epoch_1.pth')
    options[-1] = 'train_cfg.max_epochs=2'
    done = run([TRAIN, config, '--resume', *options], tmp_path)
    assert done.status == 0, done.err
    assert (tmp_path / 'run/epoch_2.pth').is_file() and not (tmp_path / 'pwned').exists()


def test_the_switches_of_torch_load_change_nothing(tmp_path, monkeypatch):
    torch.save(dict(x=Call(os.system, f'touch {tmp_path}/pwned')), tmp_path / 'a.pth')
    torch.save(dict(x=HistoryBuffer([1.0], [1])), tmp_path / 'b.pth')
    for switch in ('TORCH_FORCE_WEIGHTS_ONLY_LOAD', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'):
        with monkeypatch.context() as m:
            m.setenv(switch, '1')  # the second is others' way round mmengine
            assert load_checkpoint_file(tmp_path / 'b.pth')['x'].mean() == 1
            with pytest.raises(UnsafeCheckpointError):
                load_checkpoint_file(tmp_path / 'a.pth')


# ---------------------------------------------------------------- broken files


def test_missing_empty_and_foreign_files(tmp_path):
    (tmp_path / 'empty.pth').touch()
    (tmp_path / 'zeros.pth').write_bytes(bytes(4096))
    (tmp_path / 'text.pth').write_text('<html>not found</html>')
    for name, reason in (
        ('nothing.pth', 'no such file'),
        ('.', 'no such file'),
        ('empty.pth', 'the file is empty'),
        ('zeros.pth', 'not a file of torch.save'),
        ('text.pth', 'not a file of torch.save'),
    ):
        with pytest.raises(InputError, match=f'^checkpoint .*{reason}'):
            load_checkpoint_file(tmp_path / name)


def test_file_cut_short_anywhere(saved, tmp_path):
    data = saved[0].read_bytes()
    lengths = {0, 1, 3, 4, 5, len(data) - 1, *range(7, len(data), len(data) // 60)}
    cut = tmp_path / 'cut.pth'
    for length in lengths:
        cut.write_bytes(data[:length])
        with pytest.raises(InputError) as e:
            load_checkpoint_file(cut)
        assert str(cut) in str(e.value) and '\n' not in str(e.value), length


def test_damaged_bytes_never_surprise(saved, tmp_path):
    rng = random.Random(0)
    records = pickle.dumps(mmengine_like()['message_hub'], 2)
    for data, times in ((saved[0].read_bytes(), 150), (records, 300)):
        for _ in range(times):
            damaged = bytearray(data)
            for _ in range(rng.choice((1, 1, 4))):
                damaged[rng.randrange(len(data))] = rng.randrange(256)
            if data is records:  # whose checksum is right
                write(tmp_path / 'damaged.pth', bytes(damaged))
            else:
                (tmp_path / 'damaged.pth').write_bytes(damaged)
            try:
                load_checkpoint_file(tmp_path / 'damaged.pth')
            except InputError as e:
                assert '\n' not in str(e)


# ---------------------------------------------------------------- through mmengine


def test_mmengine_reads_through_it(saved, tmp_path):
    path, content, save = saved
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    assert load_checkpoint(model, str(path))['meta']['epoch'] == 3
    assert torch.equal(model[0].weight, content['state_dict']['0.weight'])
    hostile = save(dict(state_dict=Call(os.system, f'touch {tmp_path}/pwned')))
    with pytest.raises(UnsafeCheckpointError, match='posix.system'):
        load_checkpoint(model, str(hostile))
    assert not (tmp_path / 'pwned').exists()


@pytest.mark.parametrize(
    'address',
    [
        'https://example.org/x/hostile-01.pth?raw=1',
        'torchvision://resnet18',
        'open-mmlab://resnet50_caffe',
        'mmcls://resnet50_v1d',
        'modelzoo://resnet18',
    ],
)
def test_downloads_are_read_by_it(saved, tmp_path, monkeypatch, address):
    hostile = saved[2](dict(state_dict=Call(os.system, f'touch {tmp_path}/pwned')))
    fetched = []

    def download(url, target, **_):
        fetched.append(url)
        Path(target).write_bytes(hostile.read_bytes())

    monkeypatch.setenv('MMENGINE_HOME', str(tmp_path))
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    with pytest.raises(UnsafeCheckpointError, match='posix.system'):
        mmengine_checkpoint._load_checkpoint(address, 'cpu')
    assert fetched and fetched[0].startswith('https://') and not (tmp_path / 'pwned').exists()


def test_failed_download_is_one_line(tmp_path, monkeypatch):
    def download(*_, **__):
        raise OSError('no route to host')

    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    with pytest.raises(InputError, match='https://example.org/a.pth: cannot be downloaded'):
        mmengine_checkpoint._load_checkpoint('https://example.org/a.pth')


def test_allowed_names_are_few_and_harmless():
    names = {name.rpartition('.')[0] for name in pickle_scan._CALLED}
    assert names == {
        'collections',
        '_codecs',
        'numpy',
        'torch',
        'torch._utils',
        'builtins',
        'numpy.core.multiarray',
        'numpy._core.multiarray',
        'mmengine.logging.history_buffer',
        'mmengine.optim.scheduler.param_scheduler',
    }
    given = set(unpickling.SAFE_GLOBALS.values())
    assert not given & {getattr, np.dtype, np.ndarray, HistoryBuffer}


@pytest.mark.parametrize('strategy', ['cos', 'linear'])
def test_the_state_of_a_one_cycle_scheduler(tmp_path, strategy):
    """It holds a function of its class; the class itself can be named, not called."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = OneCycleLR(optimizer, eta_max=0.1, total_steps=10, anneal_strategy=strategy)
    torch.save(dict(param_schedulers=[scheduler.state_dict()]), tmp_path / 'a.pth')
    (state,) = load_checkpoint_file(tmp_path / 'a.pth')['param_schedulers']
    assert state['anneal_func'](0.0, 1.0, 0.5) == scheduler.anneal_func(0.0, 1.0, 0.5)

    class Call:
        def __reduce__(self):
            return type(scheduler).__mro__[1], (optimizer, 'lr')

    torch.save(dict(a=Call()), tmp_path / 'b.pth')
    with pytest.raises(UnsafeCheckpointError):
        load_checkpoint_file(tmp_path / 'b.pth')
