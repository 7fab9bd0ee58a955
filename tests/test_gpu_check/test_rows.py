"""Rows: what fails, runs out of memory or comes too late is one."""

import json
import shutil
import time
from importlib import metadata

import pytest
import torch
from gpu_settings import settings

from mspose_plugin.ablation.running import machine
from mspose_plugin.cli import check_env
from mspose_plugin.gpu_check.environment import environment
from mspose_plugin.gpu_check.report import cells, goals
from mspose_plugin.gpu_check.rows import measured, row
from mspose_plugin.gpu_check.throughput import Way, ways
from mspose_plugin.gpu_check.training import peak_gib


def raising(error):
    def measure():
        raise error

    return measure


def test_whatever_happens_is_a_row_and_the_next_one_follows():
    tasks = [
        ('memory', raising(torch.OutOfMemoryError('CUDA out of memory. Tried to ...'))),
        ('broken', raising(RuntimeError('cuDNN error\nmore'))),
        ('wrong', lambda: dict(loss=1.0, fault='the losses differ')),
        ('right', lambda: dict(loss=2.0)),
    ]
    memory, broken, wrong, right = measured(tasks, time.monotonic() + 100)
    assert memory['state'] == 'out of memory'
    assert (broken['state'], broken['why']) == ('failed', 'RuntimeError: cuDNN error')
    assert (wrong['state'], wrong['why']) == ('failed', 'the losses differ')
    assert wrong['figures'] == dict(loss=1.0)
    assert right['state'] == 'ok' and right['figures'] == dict(loss=2.0)


def test_what_would_begin_too_late_is_skipped():
    (late,) = measured([('late', raising(AssertionError))], time.monotonic() - 1)
    assert (late['state'], late['why']) == ('skipped', 'no time left')


def test_a_line_shows_short_figures_or_the_reason():
    line = cells('a', row('b', images_per_second=123.456, packages={}, peak_gib=None))
    assert line == ['a', 'b', 'images per second 123.5', 'ok']
    assert cells('a', row('b', 'failed', 'no', ms=1.0)) == ['a', 'b', 'no', 'failed']


def test_every_way_has_its_own_name_and_every_batch_its_rival():
    found = ways(settings('cuda'))
    assert len({str(way) for way in found}) == len(found)
    assert {w.batch for w in found if w.plain and w.precision == 'fp32'} == {8, 2}
    compiled = [w.compiled for w in found]
    assert compiled == sorted(compiled) and any(compiled)  # none may cost the others their time


def test_memory_of_a_training_is_that_of_its_largest_step(tmp_path):
    (tmp_path / 'a/vis_data').mkdir(parents=True)
    entries = [dict(loss=1.0, memory=2048, step=5), dict(loss=1.0, memory=3072, step=10)]
    validation = dict(PCKh=1.0, memory=512, step=10)
    lines = [json.dumps(entry) for entry in (*entries, validation)]
    (tmp_path / 'a/vis_data/scalars.json').write_text('\n'.join(lines))
    assert peak_gib(str(tmp_path)) == 3.0
    (tmp_path / 'a/vis_data/scalars.json').write_text(json.dumps(dict(loss=1.0, step=5)))
    assert peak_gib(str(tmp_path)) is None


def test_the_machine_is_looked_at_however_late(monkeypatch):
    """On a GPU the process alone takes longer to start than this part's share of 8 minutes."""
    report = dict(problems=[], packages={})
    monkeypatch.setattr(check_env, 'collect', lambda: report)
    found = list(environment(settings(), time.monotonic() - 100))
    assert [r['what'] for r in found] == ['machine', 'mspose check-env']
    assert {r['state'] for r in found} == {'ok'}


def test_a_checkout_needs_no_installation_of_its_own(monkeypatch):
    missing = (f'{check_env.PROJECT} is not installed', 'make setup')
    report = dict(problems=[missing])
    monkeypatch.setattr(check_env, 'collect', lambda: report)
    (_, row) = environment(settings(), 0)
    assert (row['state'], row['figures']['problems']) == ('ok', 0)
    report['problems'].append(('xtcocotools is missing', 'pip install xtcocotools'))
    (_, row) = environment(settings(), 0)
    assert (row['state'], row['figures']['problems']) == ('failed', 1)
    assert row['why'] == 'xtcocotools is missing: pip install xtcocotools'


def speed(way, value):
    return row(str(way), images_per_second=value)


@pytest.mark.parametrize(
    'ours, name, expected',
    [
        (600.0, 'NVIDIA H200', [(3.0, 'held'), (600.0, 'held'), (6.0, 'missed')]),
        (300.0, 'NVIDIA H200', [(1.5, 'missed'), (300.0, 'missed'), (6.0, 'missed')]),
        (600.0, 'NVIDIA A100', [(3.0, 'held'), (6.0, 'missed')]),
    ],
)
def test_goals(ours, name, expected):
    parts = dict(
        environment=[row('GPU', name=name)],
        throughput=[
            speed(Way(8, 'fp32', plain=True), 200.0),
            speed(Way(8, 'fp32'), 150.0),
            speed(Way(8, 'bf16', channels_last=True), ours),
            row(str(Way(2, 'fp32', plain=True)), 'out of memory'),
        ],
        training=[row('adam', data_percent=1.0), row('sgd', data_percent=6.0), row('lost')],
    )
    found = goals(parts, settings('cuda'))
    assert [(r['figures']['value'], r['state']) for r in found] == expected
    assert goals(parts, settings('cpu')) == [] and goals({}, settings('cuda')) == []


@pytest.mark.parametrize(
    'environment, expected',
    [
        ([row('GPU', 'failed', 'no'), row('machine', device='NVIDIA H200')], 'held'),
        ([row('GPU', 'skipped', 'no time left'), row('machine', 'failed', 'no')], 'skipped'),
        ([], 'skipped'),
    ],
)
def test_a_goal_does_not_vanish_with_the_name_of_the_gpu(environment, expected):
    throughput = [speed(Way(8, 'bf16', channels_last=True), 600.0)]
    parts = dict(environment=environment, throughput=throughput)
    (found,) = goals(parts, settings('cuda'))
    assert (found['what'], found['state']) == ('images per second', expected)
    assert bool(found['why']) == (expected == 'skipped')


def test_the_machine_is_known_with_another_opencv_and_without_a_commit(monkeypatch):
    def version(name):
        if name in ('opencv-python', 'mspose-plugin'):
            raise metadata.PackageNotFoundError(name)
        return '4.9'

    monkeypatch.setattr(metadata, 'version', version)
    monkeypatch.setattr(shutil, 'which', lambda _: None)
    found = machine()
    assert found['versions']['opencv-python-headless'] == found['versions']['numpy'] == '4.9'
    assert found['commit'] == 'version unknown'
