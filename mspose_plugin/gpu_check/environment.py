"""What the machine is, and what ``mspose check-env`` says of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

from mspose_plugin.ablation.running import machine
from mspose_plugin.cli import check_env
from mspose_plugin.gpu_check.rows import Row, Settings, measured


def environment(settings: Settings, deadline: float) -> Iterator[Row]:
    """Yield a row for the machine, for its GPU and for what is installed."""
    tasks = [('machine', machine), ('mspose check-env', _installed)]
    if settings.gpu:
        tasks.insert(1, ('GPU', partial(_gpu, settings.device)))
    yield from measured(tasks, deadline)


def _installed() -> dict[str, Any]:
    report = check_env.collect()
    fault = '; '.join(f'{problem}: {remedy}' for problem, remedy in report['problems'])
    return dict(report, problems=len(report['problems']), fault=fault)


def _gpu(device: str) -> dict[str, Any]:
    found = torch.cuda.get_device_properties(device)
    return dict(
        name=found.name,
        gib=found.total_memory / 2**30,
        capability=f'{found.major}.{found.minor}',
        multiprocessors=found.multi_processor_count,
        cuda=torch.version.cuda,
        cudnn=torch.backends.cudnn.version(),
    )
