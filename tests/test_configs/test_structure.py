"""Every config that a user can name is read, built, consistent and short."""

from copy import deepcopy
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS, init_default_scope
from mmpose.registry import DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS

import mspose_plugin  # noqa: F401

ROOT = Path(__file__).parents[2] / 'configs'
LEAVES = sorted(p for p in ROOT.rglob('*.py') if '_base_' not in p.parts)


@pytest.fixture(params=LEAVES, ids=lambda p: p.relative_to(ROOT).with_suffix('').as_posix())
def leaf(request):
    init_default_scope('mmpose')
    return request.param


def test_a_leaf_states_only_what_differs(leaf):
    assert len(leaf.read_text().splitlines()) <= 30


def test_everything_it_names_exists_and_fits_together(leaf):
    cfg = Config.fromfile(leaf)
    model = MODELS.build(cfg.model)
    pipelines = [cfg[f'{split}_dataloader'].dataset.pipeline for split in ('train', 'val', 'test')]
    stages = (cfg.default_hooks.get('stages') or {}).get('stages', [])
    pipelines += [stage.pipeline for stage in stages if stage.get('pipeline')]
    for step in (step for pipeline in pipelines for step in pipeline):
        TRANSFORMS.build(step)
        if step.type == 'GenerateTarget':
            assert step.encoder == cfg.model.head.decoder
            # MSRAHeatmap rounds towards zero: else one pixel off near the left and upper edge
            assert step.encoder.type != 'MSRAHeatmap' or 3 * step.encoder.sigma % 1 == 0
        if step.type in ('TopdownAffine', 'BorderedTopdownAffine'):
            assert tuple(step.input_size) == tuple(model.head.decoder.input_size)
            # what conditional and multi-scale testing crop with
            assert step.get('border') == cfg.model.test_cfg.get('border')
    for hook in filter(None, cfg.default_hooks.values()):
        assert HOOKS.get(hook.type), hook.type
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        for metric in evaluator if isinstance(evaluator, list) else [evaluator]:
            assert METRICS.get(metric.type), metric.type
    if stages:
        assert sum(stage.epochs for stage in stages) == cfg.train_cfg.max_epochs
    dataset = dict(cfg.train_dataloader.dataset, pipeline=[], lazy_init=True)
    metainfo = DATASETS.build(dataset).metainfo
    num_keypoints = cfg.model.backbone.get('num_keypoints') or cfg.model.head.num_keypoints
    assert len(metainfo['flip_indices']) == num_keypoints


def test_schedules_last_as_long_as_the_training(leaf):
    """One-cycle schedules refuse to go on; others must not end in the middle of a stage."""
    cfg = Config.fromfile(leaf)
    if 'time_budget' in cfg.default_hooks:  # whose hook sets the rate
        assert not cfg.param_scheduler and cfg.train_cfg.type == 'IterBasedTrainLoop'
        return
    stages = (cfg.default_hooks.get('stages') or {}).get('stages') or [
        dict(epochs=cfg.train_cfg.max_epochs)
    ]
    for stage in stages:  # at the start of each, StageScheduleHook lets the schedules start over
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        for entry in deepcopy(cfg.param_scheduler):
            kind = PARAM_SCHEDULERS.get(entry.pop('type'))
            if entry.pop('convert_to_iter_based', False):
                schedule = kind.build_iter_from_epoch(optimizer, epoch_length=3, **entry)
            else:
                schedule = kind(optimizer, **entry)
            steps = stage['epochs'] * (1 if schedule.by_epoch else 3)
            for _ in range(steps - 1):
                if not getattr(schedule, 'need_val_args', False):
                    optimizer.step()
                    schedule.step()
            assert optimizer.param_groups[0]['lr'] > 0


def test_rate_falls_after_exactly_8_epochs_without_improvement():
    cfg = Config.fromfile(ROOT / 'msspose_hourglass8_mpii.py')
    (entry,) = deepcopy(cfg.param_scheduler)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = PARAM_SCHEDULERS.get(entry.pop('type'))(optimizer, **entry)
    rates = []
    for value in (50.0, 60.0, *[60.0] * 8, 60.001, *[60.001] * 8):
        schedule.step(dict(PCKh=value))
        rates.append(optimizer.param_groups[0]['lr'])
    assert rates == pytest.approx([1.0] * 9 + [0.2] * 9 + [0.04])


PARTS = (
    'model',
    'train_dataloader',
    'val_dataloader',
    'test_dataloader',
    'val_evaluator',
    'test_evaluator',
    'train_cfg',
    'optim_wrapper',
    'param_scheduler',
    'auto_scale_lr',
    'default_hooks',
    'load_from',
)
"""What a run is made from; everything else in a config is a name for a part of it."""


def differences(a, b, path=''):
    """Yield the dotted names of entries in which two configs differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted({*a, *b}):
            yield from differences(a.get(key), b.get(key), f'{path}.{key}'.lstrip('.'))
    elif a != b:
        yield path


def parts(name):
    """Return what a run with the config of this name is made from."""
    cfg = Config.fromfile(ROOT / f'{name}.py')
    return {part: cfg.get(part) for part in PARTS}


ROWS = dict(
    mpii=(
        'ablation/hourglass8_mpii',
        'ablation/hourglass8_mpii_mss',
        'ablation/hourglass8_mpii_msr',
        'ablation/hourglass8_mpii_structure-aware',
        'msspose_hourglass8_mpii',
    ),
    synthetic=(
        'ablation/hourglass1_synthetic',
        'demo/msspose_synthetic',
        'ablation/hourglass1_synthetic_msr',
        'ablation/hourglass1_synthetic_structure-aware',
        'demo/msspose_synthetic_stages',
    ),
)
"""The paper's ablation: the hourglass, and the complete method in the last row."""
ADDED = (
    {'model.backbone.levels'},
    {'model.backbone.context', 'model.head', 'train_cfg.max_epochs', 'default_hooks.stages'},
    {'model.head.loss'},
    {'train_cfg.max_epochs', 'default_hooks.stages.stages'},
)


@pytest.mark.parametrize('data', list(ROWS))
def test_a_row_of_the_ablation_adds_to_the_row_above(data):
    for (a, b), added in zip(pairwise(map(parts, ROWS[data])), ADDED, strict=True):
        different = list(differences(a, b))
        assert different and all(any(d.startswith(entry) for entry in added) for d in different), (
            different
        )


def test_the_rows_end_after_the_paper_s_stages():
    """§4.3 of the paper: rows 1 and 2 after stage 1, 3 and 4 after stage 2, 5 after stage 3."""
    epochs = [parts(name)['train_cfg'].max_epochs for name in ROWS['mpii']]
    assert epochs == [150, 150, 225, 225, 300]


@pytest.mark.parametrize('name', [rows[0] for rows in ROWS.values()])
def test_six_scales_are_the_first_row_tested_in_another_way(name):
    a, b = parts(name), parts(f'{name}_six-scales')
    assert list(differences(a, b)) == ['model.test_cfg.multi_scale']


@pytest.mark.parametrize('number, stage', [(1, 'mss'), (2, 'msr'), (3, 'joint')])
def test_a_stage_of_its_own_is_that_of_the_whole_run(number, stage):
    whole, alone = (
        parts(name)
        for name in (
            'msspose_hourglass8_mpii',
            f'msspose/msspose_hourglass8_mpii_stage{number}',
        )
    )
    (only,) = alone['default_hooks'].stages.stages
    assert only == whole['default_hooks'].stages.stages[number - 1] and only.name == stage
    assert alone['train_cfg'].max_epochs == only.epochs
