"""What every data-set layout has to do, and files whose bytes are reproducible."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from mspose_plugin.synthetic.scene import Scene

Records = list[dict[str, Any]]
_MAT_HEADER = b'MATLAB 5.0 MAT-file, synthetic people of the MSPose plugin'


def save_mat(path: Path, variables: dict[str, Any]) -> None:
    """Write a .mat file whose bytes depend on the variables only (no time stamp)."""
    buffer = io.BytesIO()
    savemat(buffer, variables, do_compression=True)
    data = bytearray(buffer.getvalue())
    data[:116] = _MAT_HEADER.ljust(116)
    path.write_bytes(data)


def save_json(path: Path, content: Any) -> None:
    """Write a compact .json file."""
    path.write_text(json.dumps(content, separators=(',', ':')) + '\n')


class Layout:
    """How one data set names, annotates and stores its images.

    `annotate` runs in the worker that rendered the scene; `finish` once, on all records in order.
    """

    def image_file(self, split: str, index: int) -> str:
        """Return the path of an image relative to the data set's root."""
        raise NotImplementedError

    def annotate(
        self, scene: Scene, split: str, index: int, rng: np.random.Generator
    ) -> dict[str, Any]:
        """Return what the annotation files need to know of a scene."""
        raise NotImplementedError

    def finish(self, root: Path, records: dict[str, Records]) -> None:
        """Write the annotation files from the records of every split."""
        raise NotImplementedError
