"""``mspose export``: the file predicts what the model does, or there is no file."""

import ctypes
import gc
import json
import os
import sys
import zipfile

import cv2
import numpy as np
import pytest
import tiny_run
import torch

import mspose_command
from mspose_plugin import PosePredictor
from mspose_plugin.cli import export as command
from mspose_plugin.export.files import ExportedFile
from mspose_plugin.utils.errors import InputError

pytest.importorskip('onnxruntime', reason='the extra export is not installed')
pytest.importorskip('openvino', reason='the extra export is not installed')
ONNX = ('a.onnx',)
OPENVINO = ('a.xml', '--input', 'bgr', '--output', 'keypoints')
SCRIPT = ('a.torchscript', '--input', 'rgb')
BOXES = np.array([[3, 4, 50, 60], [20, 10, 90, 90.0]])


@pytest.fixture(scope='module')
def photos(tiny):
    return sorted(map(str, (tiny / 'mpii/images').iterdir()))[:3]


@pytest.mark.parametrize('args', [ONNX, OPENVINO, SCRIPT])
def test_the_file_predicts_what_the_model_does(args, export, predictor, photos):
    exported = PosePredictor(export(*args), device='cpu', batch_size=4, trust_code=True)
    assert exported.names == predictor.names
    for expected, found in zip(predictor(photos, [BOXES] * 3), exported(photos, [BOXES] * 3)):
        np.testing.assert_allclose(found.keypoints, expected.keypoints, atol=0.01)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
        assert np.array_equal(found.plot(min_score=-1), expected.plot(min_score=-1))


def test_onnx_runtime_alone_runs_it(export, photos):
    """By what the file says of itself, in batches of any size."""
    import onnxruntime

    session = onnxruntime.InferenceSession(export(*ONNX), providers=['CPUExecutionProvider'])
    described = json.loads(session.get_modelmeta().custom_metadata_map['pose'])
    assert described['input_size'] == [64, 64] and described['mean'] == [127.0] * 3
    assert described['codec']['type'] == 'MSRAHeatmap' and len(described['keypoints']) == 16
    (given,) = session.get_inputs()
    assert (given.name, given.shape) == ('images', ['batch', 3, 64, 64])
    for batch in (1, 2, 7):
        (heatmaps,) = session.run(None, {'images': np.zeros((batch, 3, 64, 64), np.float32)})
        assert heatmaps.shape == (batch, 16, 16, 16)


def test_openvino_alone_runs_it(export, predictor, photos):
    import openvino

    core = openvino.Core()
    model = core.read_model(export(*OPENVINO))
    described = json.loads(model.get_rt_info('pose').astype(str))
    assert described['output'] == 'keypoints' and described['input'] == 'bgr'
    image = cv2.resize(cv2.imread(photos[0]), (64, 64))
    found = core.compile_model(model, 'CPU')(image[None])
    assert found['keypoints'].shape == (1, 16, 2) and found['scores'].shape == (1, 16)


class SignalStack(ctypes.Structure):
    _fields_ = [('place', ctypes.c_void_p), ('flags', ctypes.c_int), ('size', ctypes.c_size_t)]


def signal_stack():
    found = SignalStack()
    assert ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found)) == 0
    return found.place, found.flags, found.size


@pytest.mark.skipif(sys.platform != 'linux', reason='stacks for signals as Linux has them')
def test_closing_files_leaves_the_stack_for_signals(export):
    file = ExportedFile(export(*OPENVINO))
    running = []
    for _ in range(2):
        running.append(file.format.start(file.path, file.description, torch.device('cpu')))
    stack = signal_stack()
    while running:
        running.pop(0)
        gc.collect()
        assert signal_stack() == stack


def test_mspose_test_gives_the_same_metrics(export, tiny, tmp_path):
    metrics = []
    for name, checkpoint in (('torch', tiny / 'a.pth'), ('file', export(*ONNX))):
        argv = [tiny_run.TEST, tiny / 'tiny.py', checkpoint, '--out', 'metrics.json']
        done = tiny_run.run(argv, tmp_path / name)
        assert done.status == 0, done.err
        metrics.append(json.loads((tmp_path / name / 'metrics.json').read_text()))
    assert metrics[0] == metrics[1] and 'PCKh' in metrics[0]


def test_fewer_bits(export, predictor, photos, capsys):
    path = export('a.torchscript', '--precision', 'bf16', '--no-flip', '--max-loss', '100')
    assert 'PCKh' in capsys.readouterr().out
    found = PosePredictor(path, device='cpu', trust_code=True)(photos[0])
    plain = PosePredictor(
        predictor.inferencer.cfg.filename,
        os.path.join(os.path.dirname(predictor.inferencer.cfg.filename), 'a.pth'),
        device='cpu',
        test_cfg=dict(flip_test=False),
    )(photos[0])
    difference = np.abs(found.scores - plain.scores).max()
    assert 1e-5 < difference < 0.1 * np.abs(plain.scores).max()


def test_int8(tiny, tmp_path, capsys, predictor):
    pytest.importorskip('nncf', reason='the extra int8 is not installed')
    out = tmp_path / 'a.xml'
    images = str(tiny / 'mpii/images')
    model = [str(tiny / 'tiny.py'), str(tiny / 'a.pth'), '--int8', images, '--max-loss', '100']
    mspose_command.main(['export', *model, '--out', str(out)])
    assert 'PCKh' in capsys.readouterr().out
    assert 'FakeQuantize' in out.read_text()
    assert PosePredictor(str(out), device='cpu')(images)[0].keypoints.shape == (1, 16, 2)


@pytest.mark.parametrize('precision', ['fp32', 'bf16'])
def test_a_file_that_differs_is_not_left(precision, tiny, tmp_path, monkeypatch, capsys):
    write = command.write

    def wrong(graph, name, path, calibration):
        weight = next(graph.model.head.parameters(), next(graph.model.parameters()))
        weights = [p for p in graph.model.parameters()]
        kept = [p.detach().clone() for p in weights]
        for parameter in weights:
            parameter.data += 0.05 * torch.randn_like(parameter)
        write(graph, name, path, calibration)
        for parameter, value in zip(weights, kept):
            parameter.data.copy_(value)
        assert weight is not None

    monkeypatch.setattr(command, 'write', wrong)
    (tmp_path / 'a.torchscript').write_text('an older file')
    model = [str(tiny / 'tiny.py'), str(tiny / 'a.pth'), '--out', str(tmp_path / 'a.torchscript')]
    with pytest.raises(SystemExit) as ended:
        mspose_command.main(['export', *model, '--precision', precision])
    assert ended.value.code == 2 and 'it differs from PyTorch' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['a.torchscript']
    assert (tmp_path / 'a.torchscript').read_text() == 'an older file'


def test_files_that_hold_code_are_opened_for_those_who_trust_them(export, tiny, tmp_path):
    path = export(*SCRIPT)
    with pytest.raises(InputError, match='holds code'):
        PosePredictor(path, device='cpu')
    done = tiny_run.run([tiny_run.TEST, tiny / 'tiny.py', path], tmp_path)
    assert 'holds code' in done.error


@pytest.mark.parametrize('ending', ['onnx', 'xml', 'torchscript', 'pt2'])
def test_what_is_no_exported_file(ending, tmp_path):
    path = tmp_path / f'a.{ending}'
    for content in (b'', b'no model', bytes(range(256)) * 20, b'<?xml version="1.0"?><net/>'):
        path.write_bytes(content)
        (tmp_path / 'a.bin').write_bytes(b'')
        with pytest.raises(InputError, match=f'a.{ending}'):
            PosePredictor(str(path), device='cpu', trust_code=True)
    with pytest.raises(InputError, match='no such file'):
        PosePredictor(str(tmp_path / f'none.{ending}'), device='cpu')


def test_a_model_that_nobody_described(tmp_path):
    torch.jit.save(
        torch.jit.trace(torch.nn.Identity(), torch.zeros(1)), str(tmp_path / 'a.torchscript')
    )
    with pytest.raises(InputError, match='mspose export'):
        PosePredictor(str(tmp_path / 'a.torchscript'), device='cpu', trust_code=True)
    with zipfile.ZipFile(tmp_path / 'a.pt2', 'w') as archive:
        archive.writestr('a/extra/pose', '[' * 100000)
    with pytest.raises(InputError, match='a.pt2'):
        PosePredictor(str(tmp_path / 'a.pt2'), device='cpu')


def test_arguments_that_do_not_go_with_a_file(export, photos):
    path = export(*OPENVINO)
    for options in (dict(half=True), dict(compile=True), dict(weights='a.pth')):
        with pytest.raises(InputError, match='a.xml'):
            PosePredictor(path, device='cpu', **options)
    shown = PosePredictor(path, device='cpu', test_cfg=dict(output_heatmaps=True))
    with pytest.raises(InputError, match='--output heatmaps'):
        shown(photos[0])
