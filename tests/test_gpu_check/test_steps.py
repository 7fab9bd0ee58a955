"""Training steps without data: gradients, what a comparison of precisions sees, times."""

import pytest
import tiny_run
import torch
from gpu_settings import settings
from mmengine.config import Config
from mmengine.logging import MessageHub

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
