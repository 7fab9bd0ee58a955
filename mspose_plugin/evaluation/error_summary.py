"""How often each kind of error is made, and what the metric gains without it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from mspose_plugin.evaluation.pose_errors import KINDS, PoseErrors
from mspose_plugin.evaluation.result_files import CocoPredictions, PckPredictions


def summarize(
    found: PckPredictions | CocoPredictions,
    errors: PoseErrors,
    progress: Callable[[list[int]], Iterable[int]] = iter,
) -> dict[str, Any]:
    """Return all figures, as the file has them.

    Args:
        found: the predictions.
        errors: theirs.
        progress: passes on the kinds that are being corrected, one after the other. Default: at
            once.

    Returns:
        ``persons``; ``joints`` name -> kind -> count; ``taken_for`` name -> name, ``'another
        person'`` or ``'nothing'`` -> count; ``metrics``; ``corrected`` kind -> metrics once the
        keypoints of this kind are where they belong; ``swaps``: whether neighbours are annotated.
    """
    persons, names = found.persons, found.persons.names
    truth = persons.keypoints[found.own]
    present = [k for k, kind in enumerate(KINDS) if k and (errors.kinds == k).any()]
    corrected = {
        KINDS[k]: found.measures(np.where((errors.kinds == k)[..., None], truth, found.pred))
        for k in progress(present)
    }
    taken = [*names, 'another person', 'nothing']
    return dict(
        persons=len(found.pred),
        swaps=persons.images is not None,
        joints={n: dict(zip(KINDS, c)) for n, c in zip(names, errors.counts().tolist())},
        taken_for={n: dict(zip(taken, c)) for n, c in zip(names, errors.confusion().tolist())},
        metrics={name: float(v) for name, v in found.measures(found.pred).items()},
        corrected={k: {n: float(v) for n, v in m.items()} for k, m in corrected.items()},
    )


def headlines(summary: Mapping[str, Any]) -> list[str]:
    """Return the metrics that are shown, of those in a summary."""
    wanted = ('PCKh', 'PCKh@0.1', 'PCK', 'AUC', 'AP', 'AP50', 'AP75')
    return [name for name in wanted if name in summary['metrics']]


def cost(summary: Mapping[str, Any], kind: str, metric: str) -> float | None:
    """Return what a metric gains when a kind of error is corrected; None if there is none."""
    if kind not in summary['corrected']:
        return None
    return summary['corrected'][kind][metric] - summary['metrics'][metric]
