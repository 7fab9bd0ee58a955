"""MLPE's multi-level network: its formulas, every option, and inputs of any size."""

import pytest
import torch
import torch.nn.functional as F
from mmpose.registry import MODELS
from torch import nn

from mspose_plugin.models.necks import FeatureEnhancement, MultiLevelNeck
from mspose_plugin.utils.errors import InputError

CHANNELS = (4, 6, 8, 10)


def features(height=64, width=48, batch=2):
    """Return C2..C5 of an input of this size, as a ResNet's strides leave it."""
    sizes = [(-(-height // stride), -(-width // stride)) for stride in (4, 8, 16, 32)]
    return [torch.rand(batch, n, *size) for n, size in zip(CHANNELS, sizes)]


def make_neck(**kwargs):
    """Return a small neck whose batch norms do something."""
    torch.manual_seed(0)
    neck = MultiLevelNeck(CHANNELS, channels=5, **kwargs)
    for module in neck.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
    return neck


def test_enhancement_against_the_sums_written_out():
    torch.manual_seed(1)
    module = FeatureEnhancement(3, 4, ratios=(0.1, 0.5, 1.0))
    x = torch.rand(2, 3, 7, 6)
    want = torch.zeros(2, 4, 7, 6)
    contexts = []
    for ratio, project in zip((0.1, 0.5, 1.0), module.projections):
        rows, columns = max(1, int(7 * ratio)), max(1, int(6 * ratio))
        pooled = torch.zeros(2, 3, rows, columns)
        for i in range(rows):
            for j in range(columns):
                block = x[
                    :,
                    :,
                    i * 7 // rows : -(-(i + 1) * 7 // rows),
                    j * 6 // columns : -(-(j + 1) * 6 // columns),
                ]
                pooled[:, :, i, j] = block.mean((2, 3))
        contexts.append(F.interpolate(project(pooled), (7, 6), mode='bilinear', align_corners=True))
    first, _, last = module.weights
    weights = last(first(torch.cat(contexts, 1)).relu()).sigmoid()
    for n, context in enumerate(contexts):
        want += weights[:, n : n + 1] * context
    assert torch.allclose(module(x), want, atol=1e-6)


@pytest.mark.parametrize('upsample', ['deconv', 'bilinear'])
@pytest.mark.parametrize('lateral_skips', [True, False])
@pytest.mark.parametrize('feature_enhancement', [True, False])
def test_levels_one_by_one(upsample, lateral_skips, feature_enhancement):
    neck = make_neck(
        upsample=upsample, lateral_skips=lateral_skips, feature_enhancement=feature_enhancement
    ).eval()
    c2, c3, c4, c5 = features(64, 64)
    levels = neck([c2, c3, c4, c5])
    want = neck.laterals[0](c5)
    if feature_enhancement:
        want = want + neck.enhancement(c5)
    assert torch.equal(levels[0], want)
    for i, c in enumerate((c4, c3, c2)):
        if upsample == 'bilinear':
            want = F.interpolate(want, scale_factor=2, mode='bilinear', align_corners=True)
        want = neck.ups[i](want)
        if lateral_skips:
            want = want + neck.laterals[i + 1](c)
        assert torch.allclose(levels[i + 1], want, atol=1e-6)
    assert [tuple(level.shape[2:]) for level in levels] == [(2, 2), (4, 4), (8, 8), (16, 16)]


def test_without_skips_only_the_coarsest_features_matter():
    feats = [f.requires_grad_() for f in features()]
    neck = make_neck(lateral_skips=False)
    sum(level.sum() for level in neck(feats)).backward()
    assert [f.grad is not None for f in feats] == [False, False, False, True]
    # no parameter is idle, which DistributedDataParallel would stumble over
    assert all(p.grad is not None for p in neck.parameters())


@pytest.mark.parametrize('height, width', [(64, 48), (100, 76), (65, 33), (97, 127), (32, 32)])
@pytest.mark.parametrize('upsample', ['deconv', 'bilinear'])
def test_any_input_size(height, width, upsample):
    feats = features(height, width)
    levels = make_neck(upsample=upsample)(feats)
    assert [tuple(level.shape) for level in levels] == [
        (2, 5, *f.shape[2:]) for f in reversed(feats)
    ]


def test_a_cut_level_starts_where_its_neighbour_does():
    """The first rows of a level do not depend on whether the last one was cut."""
    neck = make_neck(lateral_skips=True).eval()
    even, odd = features(128, 64), features(124, 64)
    assert odd[1].shape[2] == 16 and odd[0].shape[2] == 31
    for i in (1, 2, 3):
        odd[i] = even[i]
    odd[0] = even[0][:, :, :31]
    assert torch.equal(neck(odd)[-1], neck(even)[-1][:, :, :31])


@pytest.mark.parametrize('height, width', [(64, 48), (100, 76)])
def test_bilinear_levels_keep_their_corners(height, width):
    """With aligned corners, a linear ramp stays one, from corner to corner, at any size."""
    neck = make_neck(upsample='bilinear', feature_enhancement=False).eval()
    neck.laterals = nn.ModuleList([nn.Identity()])
    neck.ups = nn.ModuleList(nn.Identity() for _ in range(3))
    feats = features(height, width)
    rows, columns = feats[-1].shape[-2:]
    feats[-1] = feats[-1] * 0 + torch.linspace(0, 1, rows)[:, None] + torch.linspace(0, 1, columns)
    for level in neck(feats):
        rows, columns = level.shape[-2:]
        ramp = torch.linspace(0, 1, rows)[:, None] + torch.linspace(0, 1, columns)
        assert torch.allclose(level, ramp.expand_as(level), atol=1e-5)


def test_gradients_reach_everything():
    feats = [f.requires_grad_() for f in features()]
    neck = make_neck(lateral_skips=True)
    sum(level.square().sum() for level in neck(feats)).backward()
    assert all(p.grad.abs().sum() > 0 for name, p in neck.named_parameters() if 'bias' not in name)
    assert all(f.grad.abs().sum() > 0 for f in feats)


def parameters(*modules):
    return sum(p.numel() for module in modules for p in module.parameters())


def test_parameters_are_those_of_the_release():
    """The release's network, built from its published code, has these; three laterals are idle."""
    head = MODELS.build(dict(type='MLPEHead'))
    assert parameters(MultiLevelNeck(lateral_skips=True), head) == 14_919_853
    assert parameters(MultiLevelNeck(), head) == 14_919_853 - 460_288
    for depth, stem, millions in ((50, 64, 40.4), (101, 128, 61.1)):  # our count
        backbone = MODELS.build(dict(type='ResNeSt', depth=depth, stem_channels=stem))
        total = parameters(backbone, MultiLevelNeck(lateral_skips=True), head)
        assert total / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize(
    'kwargs, message',
    [
        (dict(upsample='nearest'), "upsample='nearest': expected one of 'deconv', 'bilinear'"),
        (dict(ratios=()), r'ratios=\(\): expected numbers above 0'),
        (dict(ratios=(0.1, 2)), r'ratios=\(0.1, 2\): expected numbers above 0'),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(InputError, match=message):
        MultiLevelNeck(CHANNELS, **kwargs)


def test_features_that_do_not_fit():
    neck = make_neck()
    with pytest.raises(InputError, match='out_indices'):
        neck(features()[-1:])
    with pytest.raises(InputError, match=r'in_channels=\(4, 6, 8, 10\): expected \(10, 8, 6, 4\)'):
        neck(features()[::-1])
    c2, c3, c4, c5 = features()
    with pytest.raises(
        InputError,
        match=r'up-sampled level=\(8, 6\): expected \(16, 12\) or more; see backbone.strides',
    ):
        make_neck()([c2, c2.repeat(1, 2, 1, 1)[:, :6], c4, c5])
