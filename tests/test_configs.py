"""Every config that a user can name is read, built, consistent and short."""
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS

import mspose_plugin  # noqa: F401

ROOT = Path(__file__).parents[1] / 'configs'
LEAVES = sorted(p for p in ROOT.rglob('*.py') if '_base_' not in p.parts)


@pytest.fixture(params=LEAVES, ids=lambda p: p.relative_to(ROOT).with_suffix('').as_posix())
def leaf(request):
    init_default_scope('mmpose')
    return request.param


def test_a_leaf_states_only_what_differs(leaf):
    assert len(leaf.read_text().splitlines()) <= 40


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


ROWS = ['1_hourglass', '2_mss', '3_msr', '4_structure_aware', '5_masking']


def _differences(a, b, path=''):
    """Yield the dotted names of entries in which two configs differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted({*a, *b}):
            yield from _differences(a.get(key), b.get(key), f'{path}.{key}'.lstrip('.'))
    elif a != b:
        yield path


@pytest.mark.parametrize('data', ['mpii', 'synthetic'])
@pytest.mark.parametrize('row, allowed', [
    (0, {'model.backbone.levels'}),
    (1, {'model.head', 'model.backbone.context', 'default_hooks.stages'}),
    (2, {'model.head.loss.alpha'}),
    (3, {'default_hooks.stages.stages'}),
])
def test_a_row_of_the_ablation_switches_one_thing(data, row, allowed):
    a, b = (Config.fromfile(ROOT / 'ablation' / data / f'{name}.py') for name in ROWS[row:row + 2])
    used = {k for k in a if not k.startswith('_')}
    different = list(_differences({k: a[k] for k in used}, {k: b[k] for k in used}))
    assert different
    assert all(any(d.startswith(name) for name in allowed) for d in different), different
