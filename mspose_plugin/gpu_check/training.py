"""Trainings by the clock on synthetic people: what an optimizer reaches, whether the GPU waits."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.runner import Runner

from mspose_plugin.ablation.plan import Plan, read_plan
from mspose_plugin.gpu_check.rows import Row, Settings, measured
from mspose_plugin.synthetic import Recipe, write_dataset
from mspose_plugin.utils.curves import read_logs
from mspose_plugin.utils.errors import InputError

REST = 0.2
"""Share of a recipe's time for its start and its test."""
_LOADERS = 8
"""Processes that load data: as many as make them, up to so many."""
_SMALL: dict[str, Any] = dict(train=8, val=4, size=(128, 128))
_SMALL_OPTIONS: dict[str, Any] = {
    'model.backbone.num_stacks': 1,
    'model.backbone.channels': 16,
    'train_dataloader.batch_size': 2,
    **{f'{s}_dataloader.num_workers': 0 for s in ('train', 'val')},
    **{f'{s}_dataloader.persistent_workers': False for s in ('train', 'val')},
}


def data(settings: Settings, deadline: float) -> Iterator[Row]:
    """Make the people that the plan asks for, unless they are there."""
    yield from measured([('synthetic people', partial(_make_data, settings))], deadline)


def _make_data(settings: Settings) -> dict[str, Any]:
    (asked,) = read_plan(settings.plan).synthetic
    given = {**asked, 'seed': settings.seed, **(_SMALL if settings.quick else {})}
    out = Path(given.pop('out'))
    recipe = Recipe(**given)
    made, wanted = out / 'synthetic.json', json.loads(json.dumps(recipe.manifest()))
    if not (made.is_file() and json.loads(made.read_text()) == wanted):
        write_dataset(recipe, out, settings.workers, overwrite=True)
    return dict(images=recipe.train + recipe.val, processes=settings.workers)


def training(settings: Settings, deadline: float) -> Iterator[Row]:
    """Yield a row for every recipe; they share the time."""
    plan = read_plan(settings.plan)
    if settings.gpu:
        yield from measured([('warm-up', partial(_warm_up, plan, settings))], deadline)
    seconds = (1 - REST) * (deadline - time.monotonic()) / len(settings.recipes)
    yield from measured(
        ((name, partial(_train, plan, name, seconds, settings)) for name in settings.recipes),
        deadline,
    )


def _warm_up(plan: Plan, settings: Settings) -> dict[str, int]:
    """Do two steps, so that no recipe's time pays what a GPU costs once: kernels, their choice."""
    cfg = _config(plan, settings.recipes[0], 60.0, settings)
    cfg.work_dir = f'{settings.folder}/runs/warm_up'
    cfg.train_cfg.max_iters = 2
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    runner = Runner.from_cfg(cfg)
    runner.train()
    return dict(steps=runner.iter)


def _train(plan: Plan, name: str, seconds: float, settings: Settings) -> dict[str, Any]:
    """Train for a time, then count the joints that are found."""
    cfg = _config(plan, name, seconds, settings)
    runner = Runner.from_cfg(cfg)
    try:
        runner.train()
    except InputError as e:  # its loss is not finite: what some recipes come to
        return dict(diverged=str(e))
    figures = step_times(runner.message_hub, runner.train_dataloader.batch_size)
    metrics = runner.val()
    memory = peak_gib(cfg.work_dir)
    scores = dict(pckh=metrics['PCKh'], auc=metrics['AUC'])
    minutes = cfg.default_hooks.time_budget.minutes
    return dict(scores, minutes=minutes, **figures, peak_gib=memory)


def peak_gib(work_dir: str) -> float | None:
    """Return the most memory of a GPU that a run logged: mmengine forgets it at every entry."""
    last = read_logs(work_dir)[-1:]
    peaks = [entry['memory'] for log in last for entry in log if 'memory' in entry]
    return max(peaks) / 1024 if peaks else None


def _config(plan: Plan, name: str, seconds: float, settings: Settings) -> Config:
    """Return the config of a recipe, with names of its own: mmengine keeps objects by name."""
    cfg = plan.config(plan.variants[name], settings.seed)
    loaders = min(settings.workers, _LOADERS)
    cfg.merge_from_dict(
        {
            'default_hooks.time_budget.minutes': seconds / 60,
            **{f'{s}_dataloader.num_workers': loaders for s in ('train', 'val')},
        }
    )
    if settings.quick:
        cfg.merge_from_dict({**_SMALL_OPTIONS, 'default_hooks.time_budget.minutes': 0.005})
    cfg.experiment_name = cfg.visualizer.name = f'gpu_check_{name}_{time.time_ns()}'
    cfg.work_dir = f'{settings.folder}/runs/{name}'
    return cfg


def step_times(hub: MessageHub, batch: int) -> dict[str, float]:
    """Return what the steps of a training took, after the first fifth.

    Args:
        hub: of the runner.
        batch: number of images in a step.

    Returns:
        ``steps``, ``loss`` (mean of the last fifth), ``images_per_second`` and ``data_percent``,
        the share of the time in which a step waits for its data.
    """
    times, waits, losses = (
        hub.get_scalar(f'train/{name}').data[0] for name in ('time', 'data_time', 'loss')
    )
    fifth = len(times) // 5
    times, waits = times[fifth:], waits[fifth:]
    return dict(
        steps=len(losses),
        loss=float(np.mean(losses[-max(fifth, 1) :])),
        images_per_second=batch * len(times) / float(np.sum(times)),
        data_percent=100 * float(np.sum(waits) / np.sum(times)),
    )
