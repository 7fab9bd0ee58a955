"""What :func:`scipy.io.savemat` lacks: struct arrays from plain dictionaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def struct_array(entries: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Return a MATLAB struct array for :func:`scipy.io.savemat`.

    Args:
        entries: N > 0 dictionaries with the same keys; a value may be a dictionary (a struct) or
            such an array in turn.

    Returns:
        Structured array ``[1, N]`` with one object field per key.
    """
    array = np.empty((1, len(entries)), dtype=[(key, object) for key in entries[0]])
    for i, entry in enumerate(entries):
        array[0, i] = tuple(entry.values())
    return array


def cell_array(values: Sequence[Any]) -> np.ndarray:
    """Return a MATLAB cell array ``[N, 1]`` for :func:`scipy.io.savemat`."""
    array = np.empty((len(values), 1), dtype=object)
    for i, value in enumerate(values):
        array[i, 0] = value
    return array
