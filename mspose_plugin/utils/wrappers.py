"""What is inside mmengine's wrappers of models and of data sets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.model import is_model_wrapper
from torch import nn


def bare(model: nn.Module) -> Any:
    """Return the model without its wrapper for distributed training."""
    return model.module if is_model_wrapper(model) else model


def with_pipeline(dataset: Any) -> Iterator[Any]:
    """Yield the outermost data sets that hold a pipeline, looking into ``RepeatDataset`` etc."""
    if hasattr(dataset, 'pipeline'):
        yield dataset
        return
    for inner in (getattr(dataset, 'dataset', None), *getattr(dataset, 'datasets', ())):
        if inner is not None:
            yield from with_pipeline(inner)
