"""Exported files, opened."""

from __future__ import annotations

import os

import torch
from torch import Tensor

from mspose_plugin.export.description import Description
from mspose_plugin.export.formats import FORMATS, Run, format_of
from mspose_plugin.export.graph import OUTPUT_NAMES
from mspose_plugin.utils.checks import check, refused
from mspose_plugin.utils.errors import InputError


class ExportedFile:
    """An exported file, opened.

    Args:
        path: the file.
        trust_code: run a file of a format that holds code. Default: False.

    Raises:
        InputError: no such file, not an exported one, a format that holds code, or a missing
            package.
    """

    def __init__(self, path: str, trust_code: bool = False) -> None:
        found = format_of(path)
        endings = ', '.join(f.ending for f in FORMATS.values())
        check(found, f'{path}: expected an exported file, with a name ending in {endings}')
        check(os.path.isfile(path), f'{path}: no such file; check the path')
        assert found is not None
        self.path, self.format = path, found
        with refused(f'{path}: cannot be read'):
            text = found.read(path)
        if text is None:
            raise InputError(f'{path}: no description in it; make the file with mspose export')
        self.description = Description.from_json(text, path)
        check(
            trust_code or not found.holds_code,
            f'{path}: a file of this format holds code, which runs when it is opened; if you trust '
            'it, say trust_code=True (--trust-code), or ask for an ONNX or OpenVINO file',
        )
        self._runs: dict[torch.device, Run] = {}

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        """Run the network.

        Args:
            images: what the description says, on any device.

        Returns:
            The outputs that it names, on the same device.

        Raises:
            InputError: the file cannot be run, or gives other outputs.
        """
        with refused(f'{self.path}: cannot be run', RuntimeError, ValueError, TypeError):
            if images.device not in self._runs:
                start = self.format.start(self.path, self.description, images.device)
                self._runs[images.device] = start
            outputs = self._runs[images.device](images)
        expected = len(OUTPUT_NAMES[self.description.output])
        fits = len(outputs) == expected and all(
            o.shape[:2] == (len(images), len(o[0]) if len(o) else 0) for o in outputs
        )
        check(fits, f'{self.path}: other outputs than its description says')
        return outputs
