"""What the machine is, and what ``mspose check-env`` says of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

from mspose_plugin.ablation.running import machine
from mspose_plugin.cli import check_env
from mspose_plugin.gpu_check.rows import Row, Settings, measured


def environment(settings: Settings, deadline: float) -> Iterator[Row]:
    """Yield a row for the machine, for its GPU and for what is installed, whatever the deadline.

    They take a second, and starting this process on a machine with a GPU takes ten.
    """
    tasks = [('machine', machine), ('mspose check-env', _installed)]
    if settings.gpu:
        tasks.insert(1, ('GPU', partial(_gpu, settings.device)))
    yield from measured(tasks, math.inf)


def _installed() -> dict[str, Any]:
    report = check_env.collect()
    # a checkout serves without an installation of its own
    problems = [p for p in report['problems'] if p[0] != f'{check_env.PROJECT} is not installed']
    fault = '; '.join(f'{problem}: {remedy}' for problem, remedy in problems)
    return dict(report, problems=len(problems), fault=fault)


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
