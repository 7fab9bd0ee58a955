"""The peers: what is found of tiny networks, what resumes, and that the list can be read."""

import functools
import json

import numpy as np
import onnxruntime
import pytest
import tiny_run
import torch
from torch import nn

from mspose_plugin.benchmarks import peers, timing, workloads
from mspose_plugin.benchmarks.peers import NETWORKS
from mspose_plugin.cli import running
from mspose_plugin.utils import untrained
from mspose_plugin.utils.errors import InputError
from tools import benchmark
from tools.figures import speed

facts = peers.facts
WIDE = "model['backbone'].update(channels=32)"
SIMCC = """
model.update(
    backbone=dict(type='ResNet', depth=18, norm_cfg=dict(type='SyncBN')),
    head=dict(type='RTMCCHead', in_channels=512, out_channels=16, input_size=(64, 64),
              in_featuremap_size=(2, 2), final_layer_kernel_size=1,
              gau_cfg=dict(hidden_dims=16, s=16, expansion_factor=2, dropout_rate=0., drop_path=0.,
                           act_fn='SiLU', use_rel_bias=False, pos_enc=False),
              loss=dict(type='KLDiscretLoss', use_target_weight=True),
              decoder=dict(type='SimCCLabel', input_size=(64, 64), sigma=2.)))
train_pipeline[-2]['encoder'] = model['head']['decoder']
"""
STAGED = """
codec = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1)
model.update(
    backbone=dict(type='HourglassNet', downsample_times=2, num_stacks=1,
                  stage_channels=(256, 8, 8), stage_blocks=(1, 1, 1), feat_channel=8),
    head=dict(type='CPMHead', in_channels=8, out_channels=16, num_stages=1,
              deconv_out_channels=None, decoder=codec,
              loss=dict(type='KeypointMSELoss', use_target_weight=True)))
train_pipeline[-2]['encoder'] = codec
"""


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """Look at networks in this process, without another's imports."""
    monkeypatch.setattr(peers, 'facts', lambda *asked: peers._facts(*asked, 1))


@pytest.fixture
def tiny(tmp_path):
    """Return the paths of two configs, the second of a wider network."""
    return [
        str(tiny_run.write_config(tmp_path / f'{name}.py', tmp_path, more))
        for name, more in (('thin', ''), ('wide', WIDE))
    ]


def run(*args):
    """Run the tool; return its exit status."""
    try:
        running.run(benchmark, ['peers', *map(str, args), '--device', 'cpu', '--input-size', '64'])
    except SystemExit as e:
        return e.code
    return 0


@pytest.fixture
def result(tmp_path):
    """Return a function that runs the tool on networks and returns the groups of its file."""
    out = tmp_path / 'out.json'

    def measured(networks, *args):
        common = ('--batch', 2, '--repeats', 2, '--reference', networks[0], '--out', out)
        assert run('--networks', *networks, *common, *args) == 0
        return json.loads(out.read_text())['groups']

    return measured


def test_what_is_found_of_two_networks(result, tiny, capsys):
    forward, training = result(tiny)
    assert [g['workload'] for g in (forward, training)] == ['forward', 'training']
    for group in (forward, training):
        assert group['mode'] == 'fp32' and group['batch'] == 2 and group['reference'] == tiny[0]
        assert {'commit', 'torch', 'threads', 'clock', 'repeats', 'versions'} <= set(group)
        thin, wide = group['rows']
        assert 0 < thin['params'] < wide['params'] and 0 < thin['gmacs'] < wide['gmacs']
        for row in (thin, wide):
            assert 0 < row['floor_ms'] < row['ms']
            assert row['quartiles'][0] <= row['ratio'] <= row['quartiles'][1]
            assert f'{row["ratio"]:.3f}' in (out := capsys.readouterr().out) or out == ''
    network = untrained.build(peers.Network(tiny[0]).load(64)).eval()
    assert forward['rows'][0]['params'] == pytest.approx(untrained.params(network))
    with torch.no_grad():
        _, gmacs = untrained.counted(network, torch.zeros(1, 3, 64, 64), None, 'tensor')
    assert forward['rows'][0]['gmacs'] == pytest.approx(gmacs)
    # each gradient takes what forward takes; of the image there is none
    stem = 64**2 / 4 * 7 * 7 * 3 * 4 / 1e9
    assert training['rows'][0]['gmacs'] == pytest.approx(3 * gmacs - stem)


def test_memory_is_that_of_another_process(tiny):
    group = peers.Group('forward', 'fp32', 256, 64, 'cpu')
    found = facts(group, peers.Network(tiny[0]))
    images = 256 * 3 * 64**2 * 4 / 1e6
    assert images < found['peak_mb'] < 50 * images


def test_memory_of_a_gpu_needs_no_other_process(monkeypatch):
    """It counts from what is there, and starting a process takes as long as many networks."""
    there, most = 5e6, [9e6]
    monkeypatch.setattr(torch.cuda, 'reset_peak_memory_stats', lambda _: most.append(there))
    monkeypatch.setattr(torch.cuda, 'max_memory_allocated', lambda _: most[-1])
    monkeypatch.setattr(peers.Network, 'load', lambda *_: None)
    monkeypatch.setattr(untrained, 'build', lambda _: nn.Conv2d(1, 10, 1))
    monkeypatch.setattr(untrained, 'counted', lambda run: (run(), 4.0))
    monkeypatch.setattr(peers.Group, 'make', lambda *_: lambda: most.append(there + 7e6))
    monkeypatch.delattr(peers, 'ProcessPoolExecutor')
    found = facts(peers.Group('forward', 'fp32', 2, 64, 'cuda'), peers.Network('tiny'))
    assert found == dict(params=2e-5, gmacs=2.0, peak_mb=7.0)


def test_what_a_network_cannot_do_is_a_dash(result, tiny, capsys):
    modes = ('--modes', 'bf16+channels_last', 'torchscript')
    groups = result(tiny[:1], *modes)
    assert [(g['workload'], g['mode']) for g in groups] == [
        (w, m) for w in ('forward', 'training') for m in modes[1:]
    ]
    *measured, refused = groups
    for row in (row for group in measured for row in group['rows']):
        assert row['ratio'] > 0 and 'why' not in row
    assert all(row['peak_mb'] is None for row in groups[1]['rows'])  # PyTorch does not run it
    assert all('cannot be trained' in row['why'] for row in refused['rows'])
    captured = capsys.readouterr()
    assert captured.err.count('cannot be trained') == 1 and 'Traceback' not in captured.err
    assert captured.out.splitlines()[-1].split()[2:] == ['-'] * 7


def test_every_network_is_compiled_for_its_own_size(monkeypatch):
    """PyTorch compiles code that has seen two sizes for any size, unless it is told not to."""
    sizes = []

    def backend(graph, examples):
        sizes.extend(x.shape[-1] for x in examples if isinstance(x, torch.Tensor))
        return graph

    monkeypatch.setattr(torch, 'compile', functools.partial(torch.compile, backend=backend))
    for size in (8, 16, 24):
        workloads._compiled(nn.ReLU())(torch.rand(1, 3, size, size))
    assert sizes == [8, 16, 24] and all(type(size) is int for size in sizes)


@pytest.mark.parametrize('name', ['onnx', 'openvino'])
def test_files_that_run_on_the_cpu_are_not_compared_with_a_gpu(name, monkeypatch):
    workloads.check_runs_on(name, 'cpu')
    workloads.check_runs_on('torchscript', 'cuda')
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: ['CPUExecutionProvider'])
    with pytest.raises(InputError, match=f'{name} files run on the CPU here; give --device cpu'):
        workloads.check_runs_on(name, 'cuda')


def test_resume_measures_what_is_missing(result, tiny, monkeypatch):
    only = ('--workloads', 'forward', '--resume')
    (first,) = result(tiny[:1], *only)
    asked = []
    monkeypatch.setattr(
        peers,
        'measure',
        lambda group, networks, *_: asked.append((group.mode, [*networks])) or [],
    )
    kept, second = result(tiny[:1], *only, '--modes', 'fp32', 'bf16')
    assert asked == [('bf16', tiny[:1])] and kept == first and second['mode'] == 'bf16'
    result(tiny, *only)  # a network more
    assert asked[1:] == [('fp32', tiny[1:])]


@pytest.mark.parametrize('mode', ['fp32', 'bf16'])
@pytest.mark.parametrize('kind', ['forward', 'training'])
def test_mmposes_simcc_runs_at_another_size(tmp_path, kind, mode):
    """Synchronised batch norm without processes, keypoint labels of x and y, a resized feature."""
    config = tiny_run.write_config(tmp_path / 'a.py', tmp_path, SIMCC)
    cfg = peers.Network(str(config)).load(96)
    assert cfg.model.head.in_featuremap_size == (3, 3)
    assert cfg.train_dataloader.dataset.pipeline[-2].encoder.input_size == (96, 96)
    peers.WORKLOADS[kind](cfg, mode, 2, 'cpu')()


def test_mmposes_hourglass_trains_in_half_precision(tmp_path):
    """Its loss takes the heatmaps to NumPy, whatever the config says."""
    config = tiny_run.write_config(tmp_path / 'a.py', tmp_path, STAGED)
    peers.WORKLOADS['training'](peers.Network(str(config)).load(64), 'bf16', 2, 'cpu')()


@pytest.mark.parametrize('name', NETWORKS)
def test_the_list_can_be_read(name):
    network = NETWORKS[name]
    side = network.input_size or 128
    cfg = network.load(128)
    codec = untrained.codec(cfg)
    assert tuple(codec['input_size']) == (side, side)
    if 'heatmap_size' in codec:
        assert tuple(codec['heatmap_size']) == (side // 4, side // 4)
    untrained.check(cfg)


def test_targets_fit_the_losses_of_both_methods():
    for name in ('mss2', 'mlpe-resnest50'):
        cfg = NETWORKS[name].load(64)
        samples = untrained.samples(cfg, 3)
        count = cfg.model.head.get('num_keypoints', 16)
        assert len(samples) == 3
        assert {tuple(s.gt_fields.heatmaps.shape) for s in samples} == {(count, 16, 16)}
        assert len({float(s.gt_fields.heatmaps.sum()) for s in samples}) == 3, 'other people'


def test_gradients_of_grouped_convolutions_count_as_forward():
    for layer in (nn.Conv2d(8, 16, 3, groups=4), nn.ConvTranspose2d(8, 16, 3, groups=2)):
        x = torch.rand(2, 8, 9, 9, requires_grad=True)
        y, forward = untrained.counted(layer, x)
        _, backward = untrained.counted(y.sum().backward)
        assert backward == pytest.approx(2 * forward)


def test_every_round_has_another_order():
    order = []
    times = timing.by_turns([lambda k=k: order.append(k) for k in range(3)], 6, 'wall', '')
    assert times.shape == (6, 3) and (times >= 0).all()
    rounds = np.reshape(order, (6, 3)).tolist()
    assert all(sorted(turn) == [0, 1, 2] for turn in rounds)
    assert {turn[0] for turn in rounds} == {0, 1, 2} and rounds[1] == rounds[0][::-1]


@pytest.mark.parametrize(
    'args, words',
    [
        (('--networks', 'nowhere.py'), 'nowhere.py'),
        (('--networks', 'mmpose::nowhere.py'), 'mmpose::nowhere.py'),
        (('--modes', 'fp32+fast'), 'fp32+fast'),
    ],
)
def test_errors_in_one_line(capsys, args, words):
    assert run(*args) == 2
    err = capsys.readouterr().err
    assert err.startswith('error: ') and words in err and err.count('\n') == 1


def test_another_file_is_not_continued(tmp_path, capsys, tiny):
    (tmp_path / 'other.json').write_text('[]')
    args = ('--networks', tiny[0], '--reference', tiny[0], '--resume')
    assert run(*args, '--out', tmp_path / 'other.json') == 2
    assert 'not a result of this benchmark' in capsys.readouterr().err


def test_table_of_the_documents():
    facts = dict(config='a/b', input_size=256, params=1.25, gmacs=2.5, peak_mb=30.0)
    times = dict(ms=40.0, floor_ms=10.0, ratio=0.5, quartiles=[0.45, 0.55])
    first = dict(network='ours', **facts, **times)
    second = dict(first, network='theirs', config='mmpose::c/d.py')
    refused = dict(network='theirs', config='mmpose::c/d.py', input_size=256, why='no')
    machine = dict(device_name='CPU', threads=1, clock='cpu', torch='2', commit='c')
    common = dict(workload='forward', batch=1, **machine)
    groups = [
        dict(common, mode='fp32', rows=[first, second]),
        dict(common, mode='onnx', rows=[first, refused]),
    ]
    text = speed.peers(cpu=dict(groups=groups))
    ours, theirs = (line for line in text.splitlines() if line.startswith('| [`'))
    cell = '**0.500** (0.450–0.550), 25%'
    assert ours.endswith(f'| 256 | 1.2 | 2.50 | 30 | 40 | {cell} | {cell} |')
    assert theirs.endswith(f'{cell} | - |') and '/configs/c/d.py)' in theirs
