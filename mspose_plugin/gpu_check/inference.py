"""How long a prediction takes: the network alone, and from a picture to keypoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from itertools import product
from tempfile import TemporaryDirectory
from timeit import Timer
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch.utils.benchmark import timer

from mspose_plugin.apis import PosePredictor
from mspose_plugin.apis.models import find_config
from mspose_plugin.cli.configs import load_config
from mspose_plugin.gpu_check import step
from mspose_plugin.gpu_check.rows import SKIPPED, Row, Settings, measured, row
from mspose_plugin.utils import untrained

BATCHES = (1, 32)
WARM_UP, REPEATS = 5, 20
Task = tuple[str, Callable[[], dict[str, Any]]]
"""A row's name, and what measures it."""


def inference(settings: Settings, deadline: float) -> Iterator[Row]:
    """Yield rows of the network and of a predictor, what is compiled at the end."""
    torch.manual_seed(settings.seed)
    cfg = load_config(settings.config)
    with TemporaryDirectory() as folder:
        weights = f'{folder}/untrained.pth'
        torch.save(dict(state_dict=untrained.build(cfg).state_dict()), weights)
        yield from measured(_eager(settings, cfg, weights), deadline)
    if not settings.quick:
        yield from _compiled(settings, cfg, deadline)


def _eager(settings: Settings, cfg: Config, weights: str) -> Iterator[Task]:
    batches = BATCHES[:1] if settings.quick else BATCHES
    for batch, half in product(batches, (False, True)):
        yield (
            f'{_network(settings, half)}, batch {batch}',
            partial(_time_network, settings, cfg, batch, half),
        )
        yield (
            f'PosePredictor{", half" * half}, batch {batch}',
            partial(_time_predictor, settings, weights, batch, half),
        )


def _compiled(settings: Settings, cfg: Config, deadline: float) -> Iterator[Row]:
    tasks = [
        (
            f'{_network(settings, half)}, compiled, batch {batch}',
            partial(_time_network, settings, cfg, batch, half, compiled=True),
        )
        for batch, half in product(BATCHES, (True, False))
    ]
    why = step.without_compiler() if settings.gpu else ''
    if why:
        return (row(name, SKIPPED, why) for name, _ in tasks)
    return measured(tasks, deadline)


def _network(settings: Settings, half: bool) -> str:
    """Return what the row of a network is called: with what it computes in, if not float32."""
    return 'network, half' if half else 'network, tf32' if settings.gpu else 'network'


def _time_network(
    settings: Settings, cfg: Config, batch: int, half: bool, compiled: bool = False
) -> dict[str, float]:
    """Time the heatmaps of a batch that is there, as fast as PyTorch may compute them."""
    step.use_precision('tf32')
    torch.backends.cudnn.benchmark = True
    torch.compiler.reset()
    model: Any = untrained.build(cfg).to(settings.device).eval()
    width, height = untrained.codec(cfg)['input_size']
    images = torch.rand(batch, 3, height, width, device=settings.device)
    if compiled:
        step.compile_stacks(model)
    dtype = torch.float16 if settings.gpu else torch.bfloat16
    kind = torch.device(settings.device).type

    @torch.no_grad()
    def run() -> None:
        with torch.autocast(kind, dtype) if half else nullcontext():
            model(images, None, mode='tensor')

    return _latency(run, batch, settings)


def _time_predictor(settings: Settings, weights: str, batch: int, half: bool) -> dict[str, float]:
    """Time all of it, with the mirror image as a test has it; each picture is one person."""
    # as a user has it: PyTorch's defaults
    torch.backends.cudnn.benchmark = torch.backends.cuda.matmul.allow_tf32 = False
    predictor = PosePredictor(
        find_config(settings.config), weights, device=settings.device, batch_size=batch, half=half
    )
    rng = np.random.default_rng(settings.seed)
    pictures = list(rng.integers(0, 256, (batch, 480, 640, 3), np.uint8))
    return _latency(lambda: predictor(pictures), batch, settings)


def _latency(run: Callable[[], object], batch: int, settings: Settings) -> dict[str, float]:
    """Return the median and the 95th percentile, each run waited for."""
    for _ in range(1 if settings.quick else WARM_UP):
        run()
    times = Timer(run, timer=timer).repeat(2 if settings.quick else REPEATS, 1)
    middle, high = np.percentile(times, (50, 95)).tolist()
    return dict(ms=1e3 * middle, ms_95_percent=1e3 * high, images_per_second=batch / middle)
