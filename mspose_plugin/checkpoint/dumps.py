"""What ``mspose test --dump`` wrote, read without running code that a file may ask for."""

from __future__ import annotations

import codecs
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

from mspose_plugin.checkpoint.unpickling import SAFE_GLOBALS, Refused, finish
from mspose_plugin.utils.checks import refused
from mspose_plugin.utils.errors import InputError

ALLOWED = {
    **{name: make for name, make in SAFE_GLOBALS.items() if name.startswith('numpy.')},
    'builtins.bytes': SAFE_GLOBALS['builtins.bytes'],
    'collections.OrderedDict': OrderedDict,
    '_codecs.encode': lambda text, encoding: codecs.encode(text, 'latin1'),
    'torch._utils._rebuild_tensor_v2': lambda *_: None,
    'torch.storage._load_from_bytes': lambda *_: None,
}
"""Name in a pickle -> what is called in its place; tensors become None."""


class _Unpickler(pickle.Unpickler):
    """Unpickles containers, numbers, text and NumPy's arrays."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what makes an object, never what the file asks for by itself."""
        if f'{module}.{name}' not in ALLOWED:
            raise Refused(f'{module}.{name}')
        return ALLOWED[f'{module}.{name}']


def load_dump(path: str) -> Any:
    """Read the predictions that a test run dumped.

    Args:
        path: of a local file.

    Raises:
        InputError: broken, or something that no dump holds.
    """
    remedy = 'give what mspose test --dump wrote'
    with open(path, 'rb') as f, refused(f'{path}: cannot be read', remedy=remedy):
        try:
            return finish(_Unpickler(f).load(), Path(path).stat().st_size)
        except Refused as e:
            raise InputError(f'{path}: refused: it asks for {e}; {remedy}') from e
