"""Every row of every plan is a config that builds; controls have as many steps as their rows."""

import json
from pathlib import Path

import pytest
from mmengine.dataset import Compose
from mmpose.registry import METRICS, MODELS

from mspose_plugin.ablation.plan import read_plan

ROOT = Path(__file__).resolve().parents[2]
PLANS = sorted(path.stem for path in (ROOT / 'tools/plans').glob('*.py'))
CONTROLS = dict(
    ablation_msspose=[('msr', 'mss_longer'), ('structure_aware', 'msr'), ('masking', 'joint')],
    masking=[('masking', 'none'), ('masking', 'cutout'), ('masking', 'colours')],
    msr_input=[('stem', 'longer'), ('all_stacks', 'nothing')],
)
"""Pairs of rows that differ in what is measured alone: equal start, equal number of steps."""


@pytest.mark.parametrize('name', PLANS)
def test_rows_build(name):
    plan = read_plan(str(ROOT / f'tools/plans/{name}.py'))
    built = set()
    for variant in plan.variants.values():
        cfg = plan.config(variant, 3)
        assert cfg.randomness.seed == 3 and 'variants' not in cfg
        assert cfg.test_dataloader == cfg.val_dataloader
        if (text := json.dumps(cfg.model, default=str)) not in built:  # one of a kind will do
            built.add(text)
            MODELS.build(cfg.model)
        Compose(cfg.train_dataloader.dataset.pipeline)
        evaluators = (
            cfg.val_evaluator if isinstance(cfg.val_evaluator, list) else [cfg.val_evaluator]
        )
        assert all(METRICS.get(evaluator.type) for evaluator in evaluators)


PHOTOGRAPHS = [n for n in PLANS if n.startswith('photographs') and n != 'photographs_length']


@pytest.mark.parametrize('name', PHOTOGRAPHS)
def test_what_is_tested_on_photographs_has_the_same_steps(name):
    plan = read_plan(str(ROOT / f'tools/plans/{name}.py'))
    drawn = {data['out']: data['train'] for data in plan.synthetic}
    steps = set()
    for variant in plan.variants.values():
        cfg = plan.config(variant, 0)
        assert cfg.val_dataloader.dataset.data_root == 'data/photographs/'
        data = cfg.train_dataloader.dataset
        if count := drawn.get(data.data_root.rstrip('/')):
            persons = data.get('indices') or count
            steps.add((cfg.train_cfg.max_epochs * persons, bool(variant.start_from)))
    assert len(steps) == 1 + any(v.start_from for v in plan.variants.values()) * ('parts' in name)


@pytest.mark.parametrize(
    'name, row, control', [(n, *pair) for n in CONTROLS for pair in CONTROLS[n]]
)
def test_controls_have_equal_length(name, row, control):
    plan = read_plan(str(ROOT / f'tools/plans/{name}.py'))
    one, other = plan.variants[row], plan.variants[control]
    assert control in one.against and one.start_from == other.start_from is not None
    cfgs = [plan.config(variant, 0) for variant in (one, other)]
    assert len({cfg.train_cfg.max_epochs for cfg in cfgs}) == 1
    assert cfgs[0].param_scheduler == cfgs[1].param_scheduler


DRAWN = [n for n in PLANS if not n.startswith(('recipes', 'mlpe_small', 'photographs'))]


@pytest.mark.parametrize('name', DRAWN)
def test_persons_are_enough_and_seeds_three(name):
    plan = read_plan(str(ROOT / f'tools/plans/{name}.py'))
    assert len(plan.seeds) >= 3
    for data in plan.synthetic:
        least = 3000 if data['layout'] == 'mpii' else 1500  # of COCO's several people each
        assert data['val'] >= least
