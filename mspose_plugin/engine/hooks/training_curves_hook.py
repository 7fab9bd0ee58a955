"""A picture of the training curves after every run."""

from __future__ import annotations

import os.path as osp

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS

from mspose_plugin.utils.checks import check
from mspose_plugin.utils.curves import draw_curves, read_curves
from mspose_plugin.utils.errors import InputError


@HOOKS.register_module()
class TrainingCurvesHook(Hook):
    """Draws losses, metrics and learning rate into the work directory when a training ends.

    ``mspose curves WORK_DIR`` does the same at any time.

    Args:
        file: name of the picture. Default: ``'curves.png'``.

    Raises:
        InputError: another ending than ``.png``, ``.pdf`` or ``.svg``.
    """

    priority = 'LOWEST'

    def __init__(self, file: str = 'curves.png') -> None:
        known = file.endswith(('.png', '.pdf', '.svg'))
        check(known, f'TrainingCurvesHook: file={file!r}: expected a .png, .pdf or .svg file')
        self.file = file

    @master_only
    def after_train(self, runner: Runner) -> None:
        """Draw them; a training is not lost over its picture."""
        path = osp.join(runner.work_dir, self.file)
        try:
            draw_curves(read_curves(runner.work_dir), path, osp.basename(runner.work_dir))
        except (InputError, OSError) as e:
            runner.logger.warning(f'no training curves: {e}')
        else:
            runner.logger.info(f'training curves: {path}')
