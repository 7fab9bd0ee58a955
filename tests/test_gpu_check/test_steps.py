"""Training steps without data: gradients, what a comparison of precisions sees, times."""

import shutil
import sysconfig

import pytest
import tiny_run
import torch
from gpu_settings import settings
from mmengine.config import Config
from mmengine.logging import MessageHub
from torch.nn import BatchNorm2d

from mspose_plugin.ablation.plan import read_plan
from mspose_plugin.apis.models import project_folder
from mspose_plugin.cli import gpu_check
from mspose_plugin.gpu_check import configs, inference, step, throughput, training
from mspose_plugin.utils import untrained

CPU = settings()


@pytest.fixture
def tiny(tmp_path):
    """Return a function that writes the tiny config and what is added to it."""

    def write(more=''):
        more += "\nmodel['type'] = 'ConditionalTopdownPoseEstimator'\n"  # which has layouts
        return str(tiny_run.write_config(tmp_path / 'tiny.py', tmp_path, more))

    return write


def test_both_precisions_are_compared_and_every_gradient_counted(tiny):
    found = configs._compare(tiny(), CPU)
    count = len(list(untrained.build(Config.fromfile(tiny())).parameters()))
    assert found['amp'] == 'bf16' and not found['fault']
    assert found['loss'] != found['loss_amp'] == pytest.approx(found['loss'], rel=0.02)
    assert 0.8 < found['gradient_cosine'] < 1 - 1e-9
    assert found['parameters'] == count and found['without_gradient'] == 0


def test_a_parameter_without_gradient_is_a_fault(tiny):
    more = """
model['backbone'].update(context='image')
model['head'].update(type='MSRHead', channels=8, context_channels=3, refine=False)
"""
    found = configs._compare(tiny(more), CPU)
    assert found['fault'].startswith('no gradient reaches head.regression.')
    stage = "default_hooks.update(stages=dict(stages=[dict(epochs=2, train=['backbone'])]))"
    found = configs._compare(tiny(more + stage), CPU)
    assert not found['fault'] and found['without_gradient'] == 0


def test_rounding_does_not_hide_in_batch_norms_over_a_pixel():
    """As a ResNeSt has them, in its attention over channels."""
    found = configs._compare('demo/mlpe_synthetic', CPU)
    assert found['gradient_cosine'] > 0.99 and not found['fault']


def test_the_step_itself_has_batch_statistics(tiny, monkeypatch):
    modes = []

    def backward(of):
        modes.append({m.training for m in of.model.modules() if isinstance(m, BatchNorm2d)})
        return original(of)

    original = configs._backward
    monkeypatch.setattr(configs, '_backward', backward)
    configs._compare(tiny(), CPU)
    assert modes == [{False}, {False}, {True}]


def test_losses_that_differ_are_a_fault(tiny, monkeypatch):
    monkeypatch.setattr(configs, '_DIFFERENCE', 0.0)
    assert 'the losses differ by' in configs._compare(tiny(), CPU)['fault']


@pytest.mark.parametrize('build', [step.of_config, step.of_plain_hourglass])
def test_a_step_trains(tiny, build):
    cfg = Config.fromfile(tiny('optim_wrapper.update(clip_grad=dict(max_norm=1.))'))
    one = build(cfg, 2, 'cpu', 'fp32', 0)
    before, weights = one.forward().item(), next(one.model.parameters()).clone()
    for _ in range(3):
        one()
    assert one.forward().item() < before
    assert not torch.equal(weights, next(one.model.parameters()))
    assert one.wrapper.clip_grad_kwargs == dict(max_norm=1.0)


@pytest.mark.parametrize('precision', step.WRAPPERS)
def test_a_precision_is_set_for_all(precision):
    step.use_precision(precision)
    assert torch.backends.cudnn.allow_tf32 == (precision != 'fp32')
    assert torch.backends.cuda.matmul.allow_tf32 == (precision != 'fp32')


def test_stacks_share_one_compilation(tiny, monkeypatch):
    compiled = []

    def backend(graph, _):
        compiled.append(graph)
        return graph.forward

    def with_backend(module, **options):
        return compile_module(module, backend=backend, **options)

    compile_module = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, 'compile', with_backend)
    cfg = Config.fromfile(tiny("model['backbone'].update(num_stacks=3)"))
    one = step.of_config(cfg, 2, 'cpu', 'fp32', 0)
    expected = one.forward().item()
    step.compile_stacks(one.model)
    assert one.forward().item() == pytest.approx(expected, rel=1e-5)
    one()
    assert len(compiled) == 1
    torch.compiler.reset()


@pytest.mark.parametrize(
    'cc, found, header, expected',
    [
        (None, ['gcc'], True, ''),
        (None, ['clang'], True, ''),
        ('icx', ['icx'], True, ''),
        (None, [], True, 'no C compiler (gcc, clang)'),
        ('icx', ['gcc'], True, 'no C compiler (icx)'),
        (None, ['gcc'], False, 'Python.h: install python3-dev'),
    ],
)
def test_what_compiling_for_a_gpu_lacks(monkeypatch, tmp_path, cc, found, header, expected):
    monkeypatch.setattr(shutil, 'which', lambda name: name if name in found else None)
    monkeypatch.setattr(sysconfig, 'get_path', lambda *_: str(tmp_path))
    monkeypatch.delenv('CC', raising=False)
    if cc:
        monkeypatch.setenv('CC', cc)
    if header:
        (tmp_path / 'Python.h').touch()
    said = step.without_compiler()
    assert expected in said and bool(said) == bool(expected)


@pytest.mark.parametrize('device', ['cuda', 'cpu'])
@pytest.mark.parametrize('part', [throughput.throughput, inference.inference])
def test_without_a_compiler_a_gpu_skips_what_is_compiled(tiny, monkeypatch, part, device):
    monkeypatch.setattr(step, 'without_compiler', lambda: 'no compiler')
    for name in ('_measure', '_time_network', '_time_predictor'):
        module = throughput if name == '_measure' else inference
        monkeypatch.setattr(module, name, lambda *_, **__: {})
    rows = list(part(settings(device, config=tiny()), 1e12))
    compiled = [r for r in rows if 'compiled' in r['what']]
    expected = ('skipped', 'no compiler') if device == 'cuda' else ('ok', '')
    assert {(r['state'], r['why']) for r in compiled} == {expected}
    assert {r['state'] for r in rows if r not in compiled and r['why'] != 'needs a GPU'} == {'ok'}


def test_without_a_gpu_its_ways_are_skipped_and_its_failures_rows(tiny, monkeypatch):
    ways = [throughput.Way(2, 'fp32'), throughput.Way(2, 'fp16')]
    monkeypatch.setattr(throughput, 'ways', lambda _: ways)
    quick = dict(quick=True, config=tiny())
    first, second = throughput.throughput(settings('cpu', **quick), 1e12)
    assert first['state'] == 'ok' and first['figures']['images_per_second'] > 0
    assert (second['state'], second['why']) == ('skipped', 'needs a GPU')
    if not torch.cuda.is_available():
        found = list(throughput.throughput(settings('cuda', **quick), 1e12))
        assert [r['state'] for r in found] == ['failed'] * 2 and all(r['why'] for r in found)


def test_predictions_are_timed_end_to_end(tiny, tmp_path):
    more = "\ndataset_type = 'ZeroBasedMpiiDataset'\ndata_mode = 'topdown'"
    given = settings('cpu', quick=True, config=tiny(more), folder=str(tmp_path))
    found = list(inference.inference(given, 1e12))
    assert [r['state'] for r in found] == ['ok'] * 4
    assert [r['what'] for r in found][:2] == ['network, batch 1', 'PosePredictor, batch 1']
    assert all(r['figures']['ms_95_percent'] >= r['figures']['ms'] > 0 for r in found)
    assert not list(tmp_path.glob('*.pth'))


def test_a_predictor_is_timed_as_a_user_has_it(tiny, monkeypatch):
    """With what PyTorch does by itself; the network alone as fast as it may be computed."""
    backends, found = torch.backends, []

    def latency(*_):
        cudnn, matmul = backends.cudnn, backends.cuda.matmul
        found.append((cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32))
        return {}

    monkeypatch.setattr(inference, '_latency', latency)
    more = "\ndataset_type = 'ZeroBasedMpiiDataset'\ndata_mode = 'topdown'"
    list(inference.inference(settings(quick=True, config=tiny(more)), 1e12))
    assert found == [(True, True, True), (False, True, False)] * 2


def test_a_network_that_computes_in_tf32_says_so(tiny, monkeypatch):
    for name in ('_time_network', '_time_predictor'):
        monkeypatch.setattr(inference, name, lambda *_, **__: {})
    found = inference.inference(settings('cuda', quick=True, config=tiny()), 1e12)
    eager = ['network, tf32', 'PosePredictor', 'network, half', 'PosePredictor, half']
    assert [r['what'] for r in found] == [f'{name}, batch 1' for name in eager]


@pytest.mark.parametrize('device, first', [('cuda', ['warm-up']), ('cpu', [])])
def test_a_gpu_is_warm_before_the_first_recipe(monkeypatch, device, first):
    for name in ('_warm_up', '_train'):
        monkeypatch.setattr(training, name, lambda *_: {})
    plan = f'{project_folder()}/{gpu_check.PLAN}'
    found = training.training(settings(device, plan=plan, recipes=gpu_check.RECIPES), 1e12)
    assert [r['what'] for r in found] == [*first, *gpu_check.RECIPES]


def test_the_warm_up_is_two_steps_of_a_recipe(tiny, monkeypatch, tmp_path):
    tiny_run.write_mpii(tmp_path)
    more = """
train_cfg = dict(
    _delete_=True, type='IterBasedTrainLoop', max_iters=1000, val_begin=1001)
train_dataloader['sampler'] = dict(type='InfiniteSampler')
train_dataloader.update(num_workers=1, persistent_workers=True)
param_scheduler = None
default_hooks.update(time_budget=dict(type='TimeBudgetHook', minutes=60),
                     checkpoint=dict(type='CheckpointHook', interval=-1, save_last=False))
"""
    cfg = Config.fromfile(tiny(more))
    monkeypatch.setattr(training, '_config', lambda *_: cfg)
    given = settings(folder=str(tmp_path), recipes=('adam',))
    assert training._warm_up(None, given) == dict(steps=2)
    assert (tmp_path / 'runs/warm_up').is_dir() and not list(tmp_path.rglob('*.pth'))


def test_the_share_of_a_step_that_waits_for_data():
    hub = MessageHub('test_the_share_of_a_step_that_waits_for_data')
    for i in range(10):
        hub.update_scalar('train/time', 9.0 if i < 2 else 0.5)
        hub.update_scalar('train/data_time', 8.0 if i < 2 else 0.01)
        hub.update_scalar('train/loss', 10.0 - i)
    found = training.step_times(hub, batch=4)
    assert found == dict(
        steps=10,
        loss=1.5,
        images_per_second=pytest.approx(8.0),
        data_percent=pytest.approx(2.0),
    )


@pytest.mark.parametrize('cores, expected', [(15, 8), (1, 1)])
def test_data_are_loaded_by_as_many_processes_as_there_are_cores_for(cores, expected):
    plan = read_plan(f'{project_folder()}/{gpu_check.PLAN}')
    cfg = training._config(plan, gpu_check.RECIPES[0], 90.0, settings(workers=cores))
    assert cfg.train_dataloader.num_workers == cfg.val_dataloader.num_workers == expected
    assert cfg.default_hooks.time_budget.minutes == 1.5
