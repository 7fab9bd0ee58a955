"""What MMPose's inference functions and inferencers lack for broken inputs and wrong weights.

:func:`adapt` is a row of :mod:`mspose_plugin.compat`. It replaces names inside MMPose's, mmdet's
and mmengine's modules, so that the order of imports does not matter. Without it,

- ``inference_topdown`` takes the size of an image, which is its default box, from Pillow, which
  ignores the EXIF rotation that OpenCV applies when the network's input is decoded;
- inferencers stop at the first input that cannot be read, and a video at its first broken frame;
- weights of another architecture are ignored with a warning.
"""

from __future__ import annotations

import functools
import mimetypes
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import numpy as np
from mmdet.apis import det_inferencer
from mmdet.apis import inference as mmdet_inference
from mmengine.infer import infer
from mmengine.logging import MMLogger
from mmengine.runner import CheckpointLoader
from mmpose.apis import inference as mmpose_inference
from mmpose.apis.inferencers import base_mmpose_inferencer
from mmpose.apis.inferencers.base_mmpose_inferencer import BaseMMPoseInferencer
from torch import nn

from mspose_plugin.checkpoint.strict_loading import load_for_prediction
from mspose_plugin.datasets.transforms.loading import MAX_BROKEN_RUN, LoadImageChecked, to_bgr
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.errors import InputError
from mspose_plugin.utils.files import backend_of, by_number

_source = ContextVar('source', default='the checkpoint')


def adapt() -> str:
    """Change MMPose's functions.

    Returns:
        What was changed, for :data:`mspose_plugin.compat.REPORT`.
    """
    mmpose_inference.Image = SimpleNamespace(open=_open_for_size)
    for module in (mmpose_inference, mmdet_inference):
        module.load_checkpoint = load_checkpoint
    for module in (base_mmpose_inferencer, det_inferencer, infer):
        module._load_checkpoint_to_model = _load_checkpoint_to_model
    for owner, name, wrap in (
        (infer.BaseInferencer, '_init_model', _naming_the_checkpoint),
        (BaseMMPoseInferencer, '_inputs_to_list', _readable_inputs),
        (BaseMMPoseInferencer, 'preprocess', _skipping_broken),
    ):
        setattr(owner, name, wrap(getattr(owner, name)))
    return 'upright default boxes, broken inputs skipped, strict loading of checkpoints'


# ---------------------------------------------------------------- size of an image


def _open_for_size(path: str) -> SimpleNamespace:
    """Stand in for ``PIL.Image.open(path).size``: (width, height) as the image is decoded."""
    height, width = LoadImageChecked().read(path).shape[:2]
    return SimpleNamespace(size=(width, height))


# ---------------------------------------------------------------- weights


def load_checkpoint(
    model: nn.Module, filename: str, map_location: Any = None, *args: Any, **kwargs: Any
) -> Mapping:
    """Stand in for mmengine's function of this name, where a model is loaded for prediction."""
    checkpoint = CheckpointLoader.load_checkpoint(filename, map_location)
    load_for_prediction(model, checkpoint, f'checkpoint {filename}')
    return checkpoint


def _load_checkpoint_to_model(
    model: nn.Module, checkpoint: Any, *args: Any, **kwargs: Any
) -> Mapping:
    load_for_prediction(model, checkpoint, _source.get())
    return checkpoint


def _naming_the_checkpoint(original: Callable) -> Callable:
    """Wrap ``_init_model``, the last method that knows where the weights come from."""

    @functools.wraps(original)
    def _init_model(self, cfg: Any, weights: str | None, device: str = 'cpu') -> nn.Module:
        token = _source.set(f'checkpoint {weights}')
        try:
            return original(self, cfg, weights, device)
        finally:
            _source.reset(token)

    return _init_model


# ---------------------------------------------------------------- inputs of an inferencer


def _readable_inputs(original: Callable) -> Callable:
    """Wrap ``_inputs_to_list``: one line for what is no input; every frame of a video."""

    @functools.wraps(original)
    def _inputs_to_list(self, inputs: Any) -> Iterable:
        if isinstance(inputs, os.PathLike):
            inputs = os.fspath(inputs)
        if not isinstance(inputs, str):
            return original(self, inputs)
        name, backend = inputs, backend_of(inputs)
        if hasattr(backend, 'isdir') and backend.isdir(name):
            files = backend.list_dir_or_file(name, list_dir=False)
            inputs = sorted(
                (backend.join_path(name, file) for file in files if _kind(file) == 'image'),
                key=by_number,
            )
            check(inputs, f'input folder {name}: no images in it; check the path')
            return original(self, inputs)
        there = not hasattr(backend, 'exists') or backend.exists(name)
        check(there, f'input {name}: no such file or folder; check the path')
        problem = 'by its name neither an image, nor a video, nor a folder of images'
        check(_kind(name) in ('image', 'video'), f'input {name}: {problem}; check the path')
        frames = original(self, inputs)
        if not self._video_input:
            return frames
        check(frames.opened, f'input {name}: the video cannot be read; copy it again or convert it')
        return _frames(frames.vcap, frames.frame_cnt, name)

    return _inputs_to_list


def _kind(path: str) -> str:
    """``'image'``, ``'video'`` …, by the ending; empty for an unknown one."""
    return (mimetypes.guess_type(path)[0] or '').split('/')[0]


def _frames(capture: Any, count: int, name: str) -> Iterator[np.ndarray | None]:
    """Yield a video's frames in order, None for a broken one that others follow.

    mmcv's reader ends at the first frame that cannot be decoded.

    Args:
        capture: from its first frame.
        count: frames that the file says it has; containers may give too large or no number.
        name: of the video, for the message that it is empty or ends early.

    Raises:
        InputError: there is no frame.
    """
    done, broken = 0, 0
    while broken < MAX_BROKEN_RUN:
        success, frame = capture.read()
        if success:
            yield from [None] * broken
            yield frame
            done, broken = done + broken + 1, 0
        elif done + broken >= count:
            break
        else:
            broken += 1
    check(done, f'input {name}: no frame of the video can be read; copy it again or convert it')
    if done < count:
        MMLogger.get_current_instance().warning(
            f'input {name}: the video ends after {done} of {count} frames; it may be cut short'
        )


def _skipping_broken(original: Callable) -> Callable:
    """Wrap ``preprocess``: an input that cannot be read is counted, named and skipped."""

    @functools.wraps(original)
    def preprocess(
        self, inputs: Iterable, batch_size: int = 1, bboxes: Any = None, **kwargs: Any
    ) -> Iterator[tuple]:
        # without inputs MMPose's own does what comes before the first one
        yield from original(self, (), batch_size, **kwargs)
        logger = MMLogger.get_current_instance()
        self.skipped, count, fault = [], 0, None
        given = bboxes is not None and len(bboxes)
        for i, single in enumerate(inputs):
            count += 1
            # lifting to 3D counts the frames it has seen
            index = i - len(self.skipped) if hasattr(self, '_buffer') else i
            try:
                check(not _is_special(single), str(single))
                data = self.preprocess_single(
                    single, index=index, bboxes=bboxes[i] if given else [], **kwargs
                )
            except Exception as e:  # MMPose and mmdet each have their own for a broken image
                fault = _fault(single, i, self._video_input)
                if fault is None:
                    raise
                self.skipped.append(i)
                logger.warning(f'skipped an input ({len(self.skipped)} so far): {fault}')
                if self._video_input:  # their place in the list is the number of the frame
                    self.video_info['predictions'].append([])
                cause = e
                continue
            yield self.collate_fn(data), [single]
        if count and len(self.skipped) == count:
            several = f'none of the {count} inputs can be read, the last: ' if count > 1 else ''
            raise InputError(f'{several}{fault}') from cause
        if self.skipped:
            logger.warning(
                f'{len(self.skipped)} of {count} inputs could not be read and were skipped'
            )

    return preprocess


def _is_special(single: Any) -> bool:
    """Tell what MMPose would wait for: a pipe, and its kin."""
    return isinstance(single, str) and not os.path.isfile(single) and os.path.exists(single)


def _fault(single: Any, index: int, video: bool) -> str | None:
    """Say what is wrong with an input; None where nothing is."""
    try:
        if isinstance(single, str):
            LoadImageChecked().read(single)
        else:
            check(not video or single is not None, 'it cannot be decoded')
            to_bgr(single)
    except InputError as e:
        if isinstance(single, str):
            return str(e)
        return f'{"frame" if video else "input"} {index}: {e}'
    return None
