"""``init_cfg=dict(type='Pretrained', strict=True, …)``: does not pass over what fails to load.

mmengine's initializer loads the tensors that fit and logs the others, so that a backbone of
another width or depth trains on from random weights. Ours takes its place under MMPose's scope
and its name too, since both packages go by that word: ``BaseModule`` initialises by
``'Pretrained'`` last, by anything else first, and MMPose's ResNets zero the last batch norm of
every block after anything else.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.logging import print_log
from mmengine.model import PretrainedInit, update_init_info
from mmengine.runner import CheckpointLoader
from mmpose.registry import WEIGHT_INITIALIZERS
from torch import nn

from mspose_plugin.checkpoint.convert import weights_of
from mspose_plugin.checkpoint.fitting import load_fitting
from mspose_plugin.utils.errors import InputError


@WEIGHT_INITIALIZERS.register_module('Pretrained')
class CheckedPretrainedInit(PretrainedInit):
    """Initialise a module from a checkpoint that, with ``strict``, must hold all of its tensors.

    Tensors that the module has no use for, such as a classifier, are logged by name.

    Args:
        checkpoint: file or URL.
        prefix: what precedes the module's names in the file, e.g. ``'backbone.'``;
            ignored where no name of the file begins so, as in weights of a backbone alone.
            Defaults to None.
        map_location: device to load to. Defaults to ``'cpu'``.
        strict: refuse tensors that are missing or of another shape. False does as mmengine
            does, so that other configs are not affected: they keep their initialisation. Defaults
            to False.
        new: with ``strict``, regular expressions of the module's tensors that the
            file may lack, matched from the beginning of the name; they keep their initialisation
            and are logged. Defaults to none.

    Examples:
        >>> backbone = dict(type='ResNeSt', depth=50, init_cfg=dict(
        ...     type='Pretrained', checkpoint='resnest50.pth', prefix='backbone.', strict=True))
    """

    def __init__(
        self,
        checkpoint: str,
        prefix: str | None = None,
        map_location: str = 'cpu',
        strict: bool = False,
        new: Sequence[str] = (),
    ) -> None:
        super().__init__(checkpoint, prefix, map_location)
        self.strict = strict
        self.new = tuple(new)

    def __call__(self, module: nn.Module) -> None:
        """Load.

        Args:
            module: the module to initialise.

        Raises:
            InputError: tensors missing or of another shape.
        """
        if not self.strict:
            super().__call__(module)
            return
        name = f'init_cfg: checkpoint {self.checkpoint}'
        checkpoint = CheckpointLoader.load_checkpoint(self.checkpoint, self.map_location)
        try:
            state = weights_of(checkpoint)
        except InputError as e:
            raise InputError(f'{name}: {e}') from e
        prefix = f'{self.prefix.rstrip(".")}.' if self.prefix else ''
        state = {
            key.removeprefix(prefix): value
            for key, value in state.items()
            if key.startswith(prefix)
        } or state
        kept = {
            key: value
            for key, value in module.state_dict().items()
            if key not in state and any(re.match(pattern, key) for pattern in self.new)
        }
        if kept:
            print_log(
                f'{len(kept)} tensors of {type(module).__name__} are not in '
                f'{self.checkpoint} and keep their initialisation: {", ".join(kept)}',
                'current',
            )
        state.update(kept)
        extra = load_fitting(module, state, name, _remedy(checkpoint, module), extra_allowed=True)
        if extra:
            print_log(
                f'{len(extra)} tensors of {self.checkpoint} have no place in '
                f'{type(module).__name__}: {", ".join(extra)}',
                'current',
                logging.WARNING,
            )
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=self._get_init_info())


def _remedy(checkpoint: Mapping[str, Any], module: nn.Module) -> str:
    """What to change; ``tools/convert_checkpoint.py`` has noted it in the files it wrote."""
    meta = checkpoint.get('meta')
    cfg = meta.get('backbone') if isinstance(meta, Mapping) else None
    if isinstance(cfg, Mapping):
        entries = ', '.join(f'{key}={value!r}' for key, value in cfg.items())
        return f'these are weights of dict({entries}), which the config entry must agree with'
    return (
        f'give {type(module).__name__} the sizes of these weights (for a ResNet or its kin '
        'depth and stem_channels), or init_cfg strict=False to start from what fits'
    )
