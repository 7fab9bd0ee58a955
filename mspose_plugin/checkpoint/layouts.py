"""How published PyTorch weights are named, and what their networks were fed, as data.

princeton  princeton-vl/pytorch_stacked_hourglass (models/posenet.py, models/layers.py)
bearpaw    bearpaw/pytorch-pose (pose/models/hourglass.py), one residual per place (``-b 1``)
resnest    zhanghang1989/ResNeSt (resnest/torch/models/resnet.py, splat.py), and timm's copies of
           it (resnest50d, resnest101e, …), which have kept the names

The hourglasses predict MPII's 16 joints in MPII's own order. They differ in the widths of the
stem, in the names, and in what they feed: RGB in [0, 1], which bearpaw shifts by the mean of MPII's
training images (without dividing by a deviation). Both train heatmap cell i on joints at input
pixels 4i to 4i + 3 and add the half cell when they decode; MMPose's ``MSRAHeatmap`` takes the cell
for input pixel 4i. ``configs/hourglass/`` has a config per published network.

The ResNeSts classify ImageNet; they become MMPose's ``ResNeSt``.

A further publication is one more entry of :data:`LAYOUTS`; ``convert.py`` needs no change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmpose.models.backbones import ResNeSt
from torch import Tensor, nn

from mspose_plugin.utils.checks import check
from mspose_plugin.utils.reference_hourglass import Bearpaw, Princeton

State = Mapping[str, Tensor]
Names = Iterator[tuple[str, str]]
"""Pairs of module names: the publication's, ours."""

RGB = dict(
    type='PoseDataPreprocessor', mean=[0.0, 0.0, 0.0], std=[255.0, 255.0, 255.0], bgr_to_rgb=True
)
IMAGENET = dict(
    type='PoseDataPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
)
_HALF_CELL = (
    'these weights take heatmap cell i for input pixel 4 (i + 0.5); keep the codec of '
    'the config, since MSRAHeatmap would decode 2 input pixels too far up and left'
)
_FAST = (
    'resnest50_fast_2s1x64d has the tensors of resnest50, but pools before the convolution '
    'where this network pools after it, so that its weights convert and mean something else'
)


@dataclass(frozen=True)
class Layout:
    """How one publication stores its networks.

    Attributes:
        source: where the weights come from.
        marker: name of a tensor that tells this layout from the others.
        backbone: reads the config of our backbone from the tensors' shapes.
        modules: from that config, all pairs of module names, those included that
            ours has no counterpart of (``idle``).
        data_preprocessor: what the network was fed with, as a config.
        configs: the project's configs for the published networks. The first fits
            any other of the layout once backbone and data_preprocessor are replaced.
        idle: ending of the modules that are dropped where ours has no counterpart, such as
            projections of blocks that need none, or a classifier. Default: '' (there are none).
        options: what may be chosen of the backbone, other than what the
            tensors' shapes say. Default: nothing.
        notes: what else to know before using the weights.
        reference: makes the published network, written anew, from the config of our backbone.
            Default: None (there is none).
    """

    source: str
    marker: str
    backbone: Callable[[State], dict[str, Any]]
    modules: Callable[[dict[str, Any]], Names]
    data_preprocessor: dict[str, Any]
    configs: tuple[str, ...]
    idle: str = ''
    options: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    reference: Callable[[dict[str, Any]], nn.Module] | None = None


def _highest(state: State, pattern: str) -> int:
    """Largest number that ``pattern``'s group has among the keys; -1 where there is none."""
    return max((int(m[1]) for m in map(re.compile(pattern).match, state) if m), default=-1)


def _widths(state: State, **keys: str) -> dict[str, int]:
    """First dimension of the named tensors."""
    for key in keys.values():
        check(key in state, f'weights: tensor {key} is missing; is the file of this layout?')
    return {name: state[key].shape[0] if state[key].ndim else 0 for name, key in keys.items()}


def _hourglass(
    state: State, stacks: int, depth: int, stem: Sequence[str], channels: str, heatmaps: str
) -> dict[str, Any]:
    widths = _widths(state, a=stem[0], b=stem[1], c=stem[2], channels=channels, heatmaps=heatmaps)
    return dict(
        type='MultiScaleHourglass',
        num_keypoints=widths['heatmaps'],
        num_stacks=stacks,
        channels=widths['channels'],
        depth=depth,
        levels=(1,),
        stem_channels=(widths['a'], widths['b'], widths['c']),
    )


def _reference(network: Callable[..., nn.Module]) -> Callable[[dict[str, Any]], nn.Module]:
    def build(cfg: dict[str, Any]) -> nn.Module:
        return network(cfg['num_stacks'], cfg['channels'], cfg['num_keypoints'], cfg['depth'])

    return build


def _block(source: str, target: str, conv: str, projection: str) -> Names:
    """A residual: three batch norms, three convolutions, the projection."""
    for i in (1, 2, 3):
        yield f'{source}.bn{i}', f'{target}.bn{i}'
        yield f'{source}.{conv.format(i)}', f'{target}.conv{i}'
    yield f'{source}.{projection}', f'{target}.shortcut'


def _princeton_backbone(state: State) -> dict[str, Any]:
    matches = map(re.compile(r'hgs\.0\.0\.((?:low2\.)*)').match, state)
    nested = [m[1].count('low2') for m in matches if m]
    return _hourglass(
        state,
        _highest(state, r'hgs\.(\d+)\.') + 1,
        max(nested, default=0),
        ('pre.0.conv.weight', 'pre.1.conv3.conv.weight', 'pre.3.conv3.conv.weight'),
        'pre.4.conv3.conv.weight',
        'outs.0.conv.weight',
    )


def _princeton_modules(cfg: dict[str, Any]) -> Names:
    def block(source: str, target: str) -> Names:
        return _block(source, target, 'conv{}.conv', 'skip_layer.conv')

    yield from (('pre.0.conv', 'stem.0'), ('pre.0.bn', 'stem.1'))
    for source, target in (('pre.1', 'stem.3'), ('pre.3', 'stem.5'), ('pre.4', 'stem.6')):
        yield from block(source, target)
    for i in range(cfg['num_stacks']):
        ours = f'stacks.{i}'
        # the hourglass of the next coarser level is called low2, and so is the bottom
        for level in range(cfg['depth']):
            inner = f'hgs.{i}.0.' + 'low2.' * level
            for source, target in (('up1', 'skips'), ('low1', 'downs'), ('low3', 'ups')):
                yield from block(inner + source, f'{ours}.hourglass.{target}.{level}')
        yield from block(f'hgs.{i}.0' + '.low2' * cfg['depth'], f'{ours}.hourglass.bottom')
        yield from block(f'features.{i}.0', f'{ours}.features.0')
        yield f'features.{i}.1.conv', f'{ours}.features.1'
        yield f'features.{i}.1.bn', f'{ours}.features.2'
        yield f'outs.{i}.conv', f'{ours}.finest'
    for i in range(cfg['num_stacks'] - 1):
        yield f'merge_features.{i}.conv.conv', f'merge_features.{i}'
        yield f'merge_preds.{i}.conv.conv', f'merge_heatmaps.{i}'


def _bearpaw_backbone(state: State) -> dict[str, Any]:
    check(
        not any(re.match(r'hg\.\d+\.hg\.\d+\.\d+\.1\.', key) for key in state),
        'weights: more than one residual per place (bearpaw -b 2 or more, as hg.0.hg.0.0.1 shows); '
        'MultiScaleHourglass has one, so only weights trained with -b 1 fit',
    )
    return _hourglass(
        state,
        _highest(state, r'hg\.(\d+)\.') + 1,
        _highest(state, r'hg\.0\.hg\.(\d+)\.') + 1,
        ('conv1.weight', 'layer1.0.conv3.weight', 'layer2.0.conv3.weight'),
        'layer3.0.conv3.weight',
        'score.0.weight',
    )


def _bearpaw_modules(cfg: dict[str, Any]) -> Names:
    def block(source: str, target: str) -> Names:
        return _block(f'{source}.0', target, 'conv{}', 'downsample.0')

    yield from (('conv1', 'stem.0'), ('bn1', 'stem.1'))
    for source, target in (('layer1', 'stem.3'), ('layer2', 'stem.5'), ('layer3', 'stem.6')):
        yield from block(source, target)
    for i in range(cfg['num_stacks']):
        ours = f'stacks.{i}'
        # numbered from the coarsest level, which alone has a fourth block, the bottom
        for level in range(cfg['depth']):
            inner = f'hg.{i}.hg.{cfg["depth"] - 1 - level}'
            for k, target in enumerate(('skips', 'downs', 'ups')):
                yield from block(f'{inner}.{k}', f'{ours}.hourglass.{target}.{level}')
        yield from block(f'hg.{i}.hg.0.3', f'{ours}.hourglass.bottom')
        yield from block(f'res.{i}', f'{ours}.features.0')
        yield f'fc.{i}.0', f'{ours}.features.1'
        yield f'fc.{i}.1', f'{ours}.features.2'
        yield f'score.{i}', f'{ours}.finest'
    for i in range(cfg['num_stacks'] - 1):
        yield f'fc_.{i}', f'merge_features.{i}'
        yield f'score_.{i}', f'merge_heatmaps.{i}'


def _resnest_backbone(state: State) -> dict[str, Any]:
    depths = {blocks: depth for depth, (_, blocks) in ResNeSt.arch_settings.items()}
    blocks = tuple(_highest(state, rf'layer{i}\.(\d+)\.') + 1 for i in (1, 2, 3, 4))
    known = ', '.join(f'{depth} {blocks}' for blocks, depth in depths.items())
    check(blocks in depths, f'weights: {blocks} blocks make no ResNeSt; there are {known}')
    return dict(
        type='ResNeSt',
        depth=depths[blocks],
        **_widths(state, stem_channels='conv1.6.weight'),
        out_indices=(0, 1, 2, 3),
    )


def _resnest_modules(cfg: dict[str, Any]) -> Names:
    # convolution, batch norm and ReLU in turn; the last batch norm lies outside of the sequence
    for i, norm in enumerate(('conv1.1', 'conv1.4', 'bn1')):
        yield f'conv1.{3 * i}', f'stem.{i}.conv'
        yield norm, f'stem.{i}.bn'
    _, blocks = ResNeSt.arch_settings[cfg['depth']]
    for stage, count in enumerate(blocks, 1):
        # the published pooling before the projection is there also where it does nothing
        pooled = int(stage > 1)
        yield f'layer{stage}.0.downsample.1', f'layer{stage}.0.downsample.{pooled}'
        yield f'layer{stage}.0.downsample.2', f'layer{stage}.0.downsample.{pooled + 1}'
        for i in range(count):
            for name in (
                'conv1',
                'bn1',
                'conv2.conv',
                'conv2.bn0',
                'conv2.fc1',
                'conv2.bn1',
                'conv2.fc2',
                'conv3',
                'bn3',
            ):
                yield (f'layer{stage}.{i}.{name}',) * 2
    yield 'fc', 'fc'


LAYOUTS: dict[str, Layout] = {
    'princeton': Layout(
        source='princeton-vl/pytorch_stacked_hourglass',
        marker='pre.0.conv.weight',
        backbone=_princeton_backbone,
        modules=_princeton_modules,
        data_preprocessor=RGB,
        configs=tuple(f'configs/hourglass/hourglass{n}_mpii_princeton.py' for n in (8, 2)),
        idle='.skip_layer.conv',
        options=('levels',),
        notes=(_HALF_CELL,),
        reference=_reference(Princeton),
    ),
    'bearpaw': Layout(
        source='bearpaw/pytorch-pose',
        marker='hg.0.hg.0.0.0.conv1.weight',
        backbone=_bearpaw_backbone,
        modules=_bearpaw_modules,
        data_preprocessor={**RGB, 'mean': [255 * 0.4404, 255 * 0.4440, 255 * 0.4327]},
        configs=tuple(f'configs/hourglass/hourglass{n}_mpii_bearpaw.py' for n in (8, 2, 1)),
        options=('levels',),
        notes=(_HALF_CELL,),
        reference=_reference(Bearpaw),
    ),
    'resnest': Layout(
        source='zhanghang1989/ResNeSt',
        marker='layer1.0.conv2.fc1.weight',
        backbone=_resnest_backbone,
        modules=_resnest_modules,
        data_preprocessor=IMAGENET,
        configs=('configs/mlpe/mlpe_resnest50_256x192.py',),
        idle='fc',
        notes=(_FAST,),
    ),
}
"""The layouts that :func:`mspose_plugin.checkpoint.convert.convert` knows, by name."""
