"""What :func:`scipy.io.savemat` lacks: struct arrays from dictionaries, reproducible files."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.io import savemat

from mspose_plugin.utils.files import write_file


def write_mat(
    path: str | os.PathLike,
    variables: Mapping[str, Any],
    header: str = 'MATLAB 5.0 MAT-file, written by the MSPose plugin',
) -> None:
    """Write a MATLAB file with :func:`.files.write_file`; equal variables give equal bytes.

    Args:
        path: as there.
        variables: as for :func:`scipy.io.savemat`.
        header: the file's description, at most 116 characters of ASCII. SciPy's holds the time.

    Raises:
        OSError: it cannot be written.
    """
    buffer = io.BytesIO()
    savemat(buffer, dict(variables), do_compression=True)
    data = header.encode().ljust(116) + buffer.getvalue()[116:]
    write_file(path, data)


def struct_array(entries: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Return a MATLAB struct array for :func:`scipy.io.savemat`.

    Args:
        entries: N > 0 dictionaries with the same keys; a value may itself be a dictionary (a
            struct) or such an array.

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
