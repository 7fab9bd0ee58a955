"""``hourglass://`` names: downloaded once from a local server, checked, converted, usable."""

import hashlib
import http.server
import re
import threading
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader
from mmpose.apis import inference_topdown, init_model
from mmpose.apis.inferencers import Pose2DInferencer
from mmpose.registry import MODELS
from tiny_run import REPOSITORY, TEST, TRAIN, run, write_mpii

from mspose_plugin.apis import preparation
from mspose_plugin.checkpoint import published
from mspose_plugin.checkpoint.convert import convert
from mspose_plugin.utils.errors import InputError
from mspose_plugin.utils.reference_hourglass import Bearpaw, randomised

pytestmark = pytest.mark.usefixtures('fresh_logger')

CONFIGS = REPOSITORY / 'configs'
NET, CONFIG = 'bearpaw_hg1', 'hourglass/hourglass1_mpii_bearpaw.py'
PATCHED = '''
import runpy, sys
from mspose_plugin.checkpoint import published
published.URLS['bearpaw_hg1'] = '{URL}'
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name='__main__')
'''
"""Runs a tool in a process that knows the local server."""


@pytest.fixture(scope='module')
def network():
    """Return bearpaw's network of one stack with random weights."""
    return randomised(Bearpaw(1)).eval()


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    """Return a folder, the address at which it is served, and the list of what was asked for."""
    folder, asked = tmp_path_factory.mktemp('served'), []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if 'cut' not in self.path:
                return super().do_GET()
            # the connection ends before what was announced has been sent
            data = Path(self.translate_path(self.path)).read_bytes()
            self.send_response(200)
            self.send_header('Content-Length', str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])

        def log_message(self, *args):
            pass

    served = http.server.ThreadingHTTPServer(('127.0.0.1', 0), partial(Handler, directory=folder))
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield folder, f'http://127.0.0.1:{served.server_port}', asked
    served.shutdown()


@pytest.fixture
def hub(server, network, tmp_path, monkeypatch):
    """Publish the network as bearpaw_hg1; return torch's cache, the file and what is asked for."""
    folder, address, asked = server
    torch.save(
        {f'module.{k}': v for k, v in network.state_dict().items()},
        folder / 'new.pth',
        _use_new_zipfile_serialization=False,
    )  # as files of that time are
    digest = hashlib.sha256((folder / 'new.pth').read_bytes()).hexdigest()
    file = (folder / 'new.pth').rename(folder / f'{NET}-{digest[:8]}.pth')
    monkeypatch.setitem(published.URLS, NET, f'{address}/{file.name}')
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    asked.clear()
    return tmp_path / 'torch/hub/checkpoints', file, asked


def test_names_are_those_of_the_release():
    assert list(published.URLS) == ['bearpaw_hg1', 'bearpaw_hg2', 'bearpaw_hg8']
    assert [published.sha256_of(url) for url in published.URLS.values()] == [
        'ce125879',
        '15e342d9',
        '90e5d470',
    ]
    assert published.sha256_of('https://example.org/x-00000000.pth') == ''
    with pytest.raises(
        InputError,
        match='hourglass://hg8: no such publication; there are hourglass://bearpaw_hg1, ',
    ):
        CheckpointLoader.load_checkpoint('hourglass://hg8')


def test_the_readmes_example_of_prediction(hub, tmp_path, monkeypatch, capsys):
    """With the network of one stack, and a detector whose weights need no download."""
    code = re.search(r'```python\n(.*?)```', (REPOSITORY / 'README.md').read_text(), re.DOTALL)[1]
    assert 'PosePredictor()' in code
    box = np.array([[10.0, 10, 90, 90, 0.9]])
    monkeypatch.setattr(preparation, 'torchvision_detector', lambda device: lambda image: box)
    monkeypatch.chdir(tmp_path)
    cv2.imwrite('photo.jpg', np.full((100, 120, 3), 90, np.uint8))
    published = "PosePredictor('hourglass1-mpii', detector='torchvision')"
    exec(code.replace('PosePredictor()', published), {})
    assert hub[2] == [f'/{hub[1].name}']
    assert capsys.readouterr().out.strip().splitlines()[-1].count(',') == 2  # x, y, score
    assert cv2.imread('drawn.jpg').shape == (100, 120, 3)


def test_it_is_downloaded_once_and_converted(hub, network):
    cache, file, asked = hub
    for _ in range(2):
        loaded = CheckpointLoader.load_checkpoint(f'hourglass://{NET}', 'cpu')
    expected = convert(network.state_dict())
    assert loaded['meta'] == dict(converted_from='bearpaw/pytorch-pose', backbone=expected.backbone)
    assert list(loaded['state_dict']) == list(expected.state_dict)
    assert all(torch.equal(loaded['state_dict'][k], v) for k, v in expected.state_dict.items())
    assert asked == [f'/{file.name}'] and [p.name for p in cache.iterdir()] == [file.name]


@pytest.mark.parametrize(
    'damage',
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:1000] + bytes([data[1000] ^ 1]) + data[1001:],
        lambda data: b'<!DOCTYPE html><html>please log in</html>',
        lambda data: b'',
    ],
    ids=['cut', 'flipped', 'page', 'empty'],
)
@pytest.mark.parametrize('cached', [False, True])
def test_another_file_is_removed_and_said(hub, damage, cached):
    cache, file, asked = hub
    good = file.read_bytes()
    if cached:  # left by an earlier download
        cache.mkdir(parents=True)
        (cache / file.name).write_bytes(damage(good))
    else:
        file.write_bytes(damage(good))
    with pytest.raises(InputError) as e:
        CheckpointLoader.load_checkpoint(f'hourglass://{NET}')
    assert 'cut off or not the published file' in str(e.value) and '\n' not in str(e.value)
    assert not list(cache.iterdir()) and len(asked) == (not cached)
    file.write_bytes(good)
    CheckpointLoader.load_checkpoint(f'hourglass://{NET}')  # the next call downloads it


@pytest.mark.parametrize(
    'name, content, words',
    [
        ('page.pth', b'\n<html><body>log in</body></html>', 'a web page'),
        ('page2.pth', b'<!doctype HTML>', 'a web page'),
        ('text.pth', b'Not Found', 'not a file of torch.save'),
        ('half.pth', None, 'cannot be read'),
        ('cut.pth', None, 'cannot be read'),
    ],
)
def test_any_url_that_gives_no_checkpoint_leaves_nothing(
    server, tmp_path, monkeypatch, name, content, words
):
    folder, address, asked = server
    torch.save(dict(state_dict=dict(a=torch.ones(9999))), folder / name)
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(content or (data if name == 'cut.pth' else data[: len(data) // 2]))
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    for _ in range(2):
        asked.clear()
        with pytest.raises(InputError) as e:
            CheckpointLoader.load_checkpoint(f'{address}/{name}')
        assert words in str(e.value) and f'{address}/{name}' in str(e.value)
        assert 'was removed' in str(e.value) and '\n' not in str(e.value)
        assert asked == [f'/{name}'] and not list((tmp_path / 'hub/checkpoints').iterdir())


def test_a_good_download_stays_where_only_the_device_is_missing(server, tmp_path, monkeypatch):
    folder, address, _ = server
    torch.save(dict(a=torch.ones(2)), folder / 'good.pth')
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    with pytest.raises(InputError, match='good.pth'):
        CheckpointLoader.load_checkpoint(f'{address}/good.pth', 'ipu:7')
    assert (tmp_path / 'hub/checkpoints/good.pth').is_file()


def test_a_missing_file_and_an_unknown_scheme(server, tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    with pytest.raises(InputError, match='none.pth: cannot be downloaded: .*404'):
        CheckpointLoader.load_checkpoint(f'{server[1]}/none.pth')
    with pytest.raises(InputError, match='ftq://x/a.pth: unknown scheme'):
        CheckpointLoader.load_checkpoint('ftq://x/a.pth')


# ---------------------------------------------------------------- where MMPose takes a file


def test_test_py(hub, tmp_path):
    cache, _, asked = hub
    write_mpii(tmp_path / 'data/mpii', train=1, val=2)
    (tmp_path / 'published_here.py').write_text(PATCHED.format(URL=published.URLS[NET]))
    done = run(
        [
            tmp_path / 'published_here.py',
            TEST,
            CONFIGS / CONFIG,
            f'hourglass://{NET}',
            '--out',
            'm.json',
            '--cfg-options',
            'test_dataloader.num_workers=0',
            'test_dataloader.persistent_workers=False',
        ],
        tmp_path,
        TORCH_HOME=str(cache.parents[1]),
    )
    assert done.status == 0, done.err
    assert (tmp_path / 'm.json').is_file() and len(asked) == 1


def test_init_model_and_the_inferencer_answer_alike(hub, network):
    config = str(CONFIGS / CONFIG)
    image = np.random.default_rng(0).integers(0, 256, (120, 90, 3), dtype=np.uint8)
    model = init_model(config, f'hourglass://{NET}', device='cpu')
    state = convert(network.state_dict()).state_dict
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    (result,) = inference_topdown(model, image)
    inferencer = Pose2DInferencer(
        config, f'hourglass://{NET}', device='cpu', det_model='whole_image'
    )
    prediction = next(inferencer(image))['predictions'][0][0]
    assert np.allclose(prediction['keypoints'], result.pred_instances.keypoints[0])


def test_fine_tuning_starts_from_them(hub, network):
    cfg = Config.fromfile(CONFIGS / 'msspose/msspose_hourglass8_mpii_finetune.py')
    backbone = {**cfg.model.backbone, 'num_stacks': 1}
    assert backbone['init_cfg']['checkpoint'] == 'hourglass://bearpaw_hg8'
    backbone['init_cfg'] = {**backbone['init_cfg'], 'checkpoint': f'hourglass://{NET}'}
    model = MODELS.build(backbone)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.init_weights()
    published_ones = convert(network.state_dict()).state_dict
    for key, value in model.state_dict().items():
        expected = published_ones.get(f'backbone.{key}')
        new = expected is None
        assert new == ('.coarse.' in key)
        assert torch.equal(value, before[key] if new else expected), key


def test_only_what_is_named_may_be_new(hub):
    cfg = Config.fromfile(CONFIGS / 'msspose/msspose_hourglass8_mpii_finetune.py')
    init_cfg = {**cfg.model.backbone.init_cfg, 'checkpoint': f'hourglass://{NET}'}
    backbone = {**cfg.model.backbone, 'num_stacks': 2, 'init_cfg': init_cfg}
    with pytest.raises(InputError, match='tensors missing, first stacks.1.hourglass'):
        MODELS.build(backbone).init_weights()
    backbone.update(num_stacks=1, init_cfg={**init_cfg, 'new': []})
    with pytest.raises(InputError, match='tensors missing, first stacks.0.coarse.0.0.weight'):
        MODELS.build(backbone).init_weights()


def test_the_three_stages_train_from_them(hub, tmp_path):
    """The fine-tuning config as it is, but for the number of stacks, of persons and of epochs."""
    write_mpii(tmp_path / 'data/mpii', train=1, val=1)
    (tmp_path / 'short.py').write_text(
        f"_base_ = '{CONFIGS}/msspose/msspose_hourglass8_mpii_finetune.py'\n"
        f"model = dict(backbone=dict(num_stacks=1, init_cfg=dict(checkpoint='hourglass://{NET}')))\n"
        'train_dataloader = dict(batch_size=1, num_workers=0, persistent_workers=False)\n'
        'val_dataloader = dict(num_workers=0, persistent_workers=False)\n'
        'train_cfg = dict(max_epochs=3)\n'
        'for _stage in _base_.default_hooks.stages.stages:\n    _stage.epochs = 1\n'
    )
    (tmp_path / 'published_here.py').write_text(PATCHED.format(URL=published.URLS[NET]))
    done = run(
        [tmp_path / 'published_here.py', TRAIN, 'short.py', '--work-dir', 'run'],
        tmp_path,
        timeout=300,
        TORCH_HOME=str(hub[0].parents[1]),
    )
    assert done.status == 0, done.err
    assert (tmp_path / 'run/epoch_3.pth').is_file()
    assert 'keep their initialisation: stacks.0.coarse.' in done.out + done.err
