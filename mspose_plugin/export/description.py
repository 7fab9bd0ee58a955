"""What an exported file says of itself: all that is needed to run it without the model's code.

It is JSON (schema below), under the key :data:`KEY` in every format. A file may come from anyone,
so that nothing in it names code: transforms are built from numbers, codecs from a closed list.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from mmengine.config import Config
from mmpose.codecs import MSRAHeatmap, SimCCLabel, UDPHeatmap
from mmpose.codecs.base import BaseKeypointCodec

from mspose_plugin.codecs import GaussianHeatmap
from mspose_plugin.datasets.transforms.bordered_affine import CROPS
from mspose_plugin.utils.checks import (
    check,
    check_choice,
    check_keys,
    check_numbers,
    check_value,
    refused,
)

KEY = 'pose'
"""Name of the entry that holds the description, in every format."""
VERSION = 1
CODECS: dict[str, type[BaseKeypointCodec]] = {
    codec.__name__: codec for codec in (GaussianHeatmap, MSRAHeatmap, UDPHeatmap, SimCCLabel)
}
"""Those that an exported file may name."""
INPUTS = ('normalized', 'bgr', 'rgb')
OUTPUTS = ('heatmaps', 'simcc', 'keypoints')
PRECISIONS = ('fp32', 'fp16', 'bf16', 'int8')
_FLIPS = ('heatmap', 'udp_combined')


@dataclass(frozen=True)
class Description:
    """What is in the file, and how to use it.

    Args:
        model: name of the config that it was exported with.
        input: ``'normalized'``: float32 ``[B, 3, H, W]``, channels as in ``channels``, from which
            the mean was subtracted and which were divided by the deviation; ``'bgr'`` or ``'rgb'``:
            uint8 ``[B, H, W, 3]``.
        output: ``'heatmaps'`` ``[B, K, H, W]``; ``'simcc'``: two, ``[B, K, Wx]`` and
            ``[B, K, Wy]``; ``'keypoints'``: ``keypoints`` ``[B, K, 2]`` in pixels of the input and
            ``scores`` ``[B, K]``.
        precision: in which the file computes, one of :data:`PRECISIONS`.
        input_size: width and height in pixels.
        mean: of the channels, in the order of ``channels``.
        std: likewise.
        channels: order in which the network takes them, ``'rgb'`` or ``'bgr'``.
        padding: factor of the person box's width and height.
        use_udp: how the box is cut out, see MMPose's ``TopdownAffine``.
        border: BGR colour around the image.
        codec: how heatmaps become keypoints: type and arguments.
        test_cfg: flip testing, as in a config's ``model.test_cfg``.
        dataset: name of the keypoints' convention.
        keypoints: their names.
        flip_indices: for each keypoint the one of the other side, or itself.
        skeleton: pairs of keypoints with a bone between them.
        keypoint_colors: RGB.
        skeleton_colors: RGB.
        sigmas: of the keypoints, for COCO's OKS.
        made_with: releases of what made the file.
    """

    model: str
    input: str
    output: str
    precision: str
    input_size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    channels: str
    padding: tuple[float, float]
    use_udp: bool
    border: tuple[float, ...]
    codec: dict[str, Any]
    test_cfg: dict[str, Any]
    dataset: str
    keypoints: tuple[str, ...]
    flip_indices: tuple[int, ...]
    skeleton: tuple[tuple[int, int], ...]
    keypoint_colors: tuple[tuple[int, ...], ...]
    skeleton_colors: tuple[tuple[int, ...], ...]
    sigmas: tuple[float, ...]
    made_with: dict[str, str] = field(default_factory=dict)

    # ---------------------------------------------------------------- text

    def to_json(self) -> str:
        """Return the description as the files hold it."""
        return json.dumps({'version': VERSION, **asdict(self)}, default=lambda v: v.tolist())

    @classmethod
    def from_json(cls, text: str, name: str) -> Description:
        """Read a description; nothing in it is trusted.

        Args:
            text: JSON.
            name: of the file, for messages.

        Raises:
            InputError: not a description, or one of a later release.
        """
        with refused(f'{name}: its description is not JSON', ValueError, RecursionError):
            content = json.loads(text)
        names = [f.name for f in fields(cls)]
        known = 'a description by mspose export'
        check_value(isinstance(content, dict), f'{name}: description', content, known)
        version = content.pop('version', None)
        check_value(version == VERSION, f'{name}: description.version', version, f'{VERSION}')
        missing = [n for n in names if n not in content]
        check(not missing, f'{name}: its description has no {", ".join(missing)}')
        check_keys(f'{name}: description', content, names)
        return cls(**_checked(name, content))

    # ---------------------------------------------------------------- for MMPose

    def build_codec(self) -> BaseKeypointCodec:
        """Build the codec."""
        options = dict(self.codec)
        return CODECS[options.pop('type')](**options)

    def metainfo(self) -> dict[str, Any]:
        """Return names, skeleton and colours as MMPose's data sets have them."""
        names = self.keypoints
        return dict(
            dataset_name=self.dataset,
            keypoint_info={
                i: dict(name=name, id=i, color=color, type='', swap=names[swap])
                for i, (name, color, swap) in enumerate(
                    zip(names, self.keypoint_colors, self.flip_indices)
                )
            },
            skeleton_info={
                i: dict(link=tuple(names[k] for k in link), id=i, color=color)
                for i, (link, color) in enumerate(zip(self.skeleton, self.skeleton_colors))
            },
            joint_weights=[1.0] * len(names),
            sigmas=list(self.sigmas),
        )

    def pipeline(self) -> list[dict[str, Any]]:
        """Return the test pipeline from an image and a box to the network's input."""
        crop = dict(input_size=self.input_size, use_udp=self.use_udp, border=self.border)
        # one factor is computed with in float32, two in float64: a grey level in some pixels
        padding = self.padding[0] if len(set(self.padding)) == 1 else self.padding
        return [
            dict(type='LoadImageChecked'),
            dict(type='GetBBoxCenterScale', padding=padding),
            dict(type='BorderedTopdownAffine', **crop),
            dict(type='PackPoseInputs'),
        ]

    def preprocessor(self) -> dict[str, Any]:
        """Return the part of a model that makes its input of BGR crops."""
        if self.input != 'normalized':
            return dict(type='PoseDataPreprocessor', bgr_to_rgb=self.input == 'rgb')
        return dict(
            type='PoseDataPreprocessor',
            mean=list(self.mean),
            std=list(self.std),
            bgr_to_rgb=self.channels == 'rgb',
        )


def describe(
    cfg: Config, dataset_meta: Mapping[str, Any], input: str, output: str, precision: str
) -> Description:
    """Describe what a config's model becomes when it is exported.

    Args:
        cfg: run config of a top-down model.
        dataset_meta: of its model, as MMPose parses it.
        input: see :class:`Description`.
        output: ``'keypoints'``, or ``'heatmaps'`` for what the network itself predicts.
        precision: see :class:`Description`.

    Raises:
        InputError: another kind of model, or a pipeline that does more than cut out a box.
    """
    where = f'config {cfg.filename}'
    model = cfg.model
    codec = model.head.get('decoder')
    known = f'{where}: model.head.decoder.type'
    check_choice(known, codec and codec.get('type'), CODECS)
    padding, crop = _crop(cfg, where)
    prepare = model.data_preprocessor
    test_cfg = {
        key: value
        for key, value in (model.get('test_cfg') or {}).items()
        if key in ('flip_test', 'flip_mode', 'shift_heatmap')
    }
    network = 'simcc' if codec.type == 'SimCCLabel' else 'heatmaps'
    meta = dataset_meta
    content = dict(
        model=str(cfg.filename).rpartition('/')[2].removesuffix('.py'),
        input=input,
        output=network if output == 'heatmaps' else output,
        precision=precision,
        input_size=crop['input_size'],
        mean=prepare.get('mean') or [0.0] * 3,
        std=prepare.get('std') or [1.0] * 3,
        channels='rgb' if prepare.get('bgr_to_rgb') else 'bgr',
        padding=padding if isinstance(padding, Sequence) else (padding, padding),
        use_udp=crop.get('use_udp', False),
        border=crop.get('border', (0.0, 0.0, 0.0)),
        codec=dict(codec),
        test_cfg=test_cfg,
        dataset=meta['dataset_name'],
        keypoints=[meta['keypoint_id2name'][k] for k in range(meta['num_keypoints'])],
        flip_indices=meta['flip_indices'],
        skeleton=meta['skeleton_links'],
        keypoint_colors=meta['keypoint_colors'],
        skeleton_colors=meta['skeleton_link_colors'],
        sigmas=meta['sigmas'],
        made_with=_releases(),
    )
    plain = json.loads(json.dumps(content, default=lambda value: value.tolist()))
    return Description(**_checked(where, plain))


def _crop(cfg: Config, where: str) -> tuple[Any, dict[str, Any]]:
    """Find the box's padding and the crop in the test pipeline, which may have nothing else."""
    steps = {step.type: step for step in cfg.test_dataloader.dataset.pipeline}
    plain = {'LoadImage', 'LoadImageChecked', 'KeepOriginalImage', 'PackPoseInputs'}
    crops = [steps.pop(k) for k in CROPS if k in steps]
    box = steps.pop('GetBBoxCenterScale', None)
    other = ', '.join(sorted(set(steps) - plain))
    known = f'a box that is cut out (GetBBoxCenterScale, TopdownAffine), nothing else; {other}'
    fits = len(crops) == 1 and box and not other
    check(fits, f'{where}: test_dataloader.dataset.pipeline: expected {known}')
    return box.get('padding', 1.25), {k: v for k, v in crops[0].items() if k != 'type'}


def _releases() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ('mspose-plugin', 'torch')}


def _checked(name: str, content: dict[str, Any]) -> dict[str, Any]:
    """Return a description's entries, each of the type and within the limits it must have."""

    def numbers(key: str, shape: tuple[int | None, ...], kind: type = float) -> Any:
        rows = check_numbers(f'{name}: {key}', content[key] or [], shape).astype(kind).tolist()
        return tuple(tuple(row) if isinstance(row, list) else row for row in rows)

    for key, choices in (
        ('input', INPUTS),
        ('output', OUTPUTS),
        ('precision', PRECISIONS),
        ('channels', ('rgb', 'bgr')),
        ('use_udp', (True, False)),
    ):
        check_choice(f'{name}: {key}', content[key], choices)
    names, dataset = content['keypoints'], content['dataset']
    texts = isinstance(names, list) and all(isinstance(n, str) for n in [*names, dataset])
    unique = texts and 0 < len(set(names)) == len(names) <= 10000
    check_value(unique, f'{name}: keypoints', names, 'different names')
    count = len(names)
    checked = dict(
        content,
        input_size=numbers('input_size', (2,), int),
        mean=numbers('mean', (3,)),
        std=numbers('std', (3,)),
        padding=numbers('padding', (2,)),
        border=numbers('border', (3,)),
        keypoints=tuple(names),
        flip_indices=numbers('flip_indices', (count,), int),
        keypoint_colors=numbers('keypoint_colors', (count, 3), int),
        sigmas=numbers('sigmas', (count,)),
        skeleton=numbers('skeleton', (None, 2), int) if content['skeleton'] else (),
    )
    links = (len(checked['skeleton']), 3)
    checked['skeleton_colors'] = numbers('skeleton_colors', links, int) if links[0] else ()
    indices = [*checked['flip_indices'], *(k for link in checked['skeleton'] for k in link)]
    inside = all(0 <= k < count for k in indices)
    check_value(inside, f'{name}: flip_indices, skeleton', indices, f'0 to {count - 1}')
    side = checked['input_size']
    check_value(1 <= min(side) and max(side) <= 2**14, f'{name}: input_size', side, '1 to 16384')
    check_value(all(v > 0 for v in checked['std']), f'{name}: std', checked['std'], 'above 0')
    checked['codec'] = _checked_codec(name, content['codec'])
    checked['test_cfg'] = _checked_flip(name, content['test_cfg'])
    return checked


def _checked_codec(name: str, codec: Any) -> dict[str, Any]:
    known = f'{name}: codec'
    check_value(isinstance(codec, dict), known, codec, 'a dict')
    check_choice(f'{known}.type', codec.get('type'), CODECS)
    options = inspect.signature(CODECS[codec['type']]).parameters
    check_keys(known, codec, ('type', *options))
    plain = (bool, int, float, str, type(None))
    fits = all(
        isinstance(v, plain)
        or isinstance(v, list)
        and len(v) == 2
        and all(isinstance(n, int | float) for n in v)
        for v in codec.values()
    )
    check_value(fits, known, codec, 'numbers, pairs of numbers and names')
    with refused(f'{known} cannot be built'):
        CODECS[codec['type']](**{k: v for k, v in codec.items() if k != 'type'})
    return codec


def _checked_flip(name: str, test_cfg: Any) -> dict[str, Any]:
    known = f'{name}: test_cfg'
    check_keys(known, test_cfg, ('flip_test', 'flip_mode', 'shift_heatmap'))
    check_choice(f'{known}.flip_mode', test_cfg.get('flip_mode', 'heatmap'), _FLIPS)
    for key in ('flip_test', 'shift_heatmap'):
        check_choice(f'{known}.{key}', test_cfg.get(key, False), (True, False))
    return test_cfg
