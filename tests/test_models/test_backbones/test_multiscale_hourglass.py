"""The hourglass: published sizes and outputs, shapes, options that must not change results."""

import copy

import pytest
import torch
from mmpose.registry import MODELS
from torch import nn

from mspose_plugin.checkpoint.convert import convert
from mspose_plugin.models.backbones import MultiScaleHourglass
from mspose_plugin.models.layers import Hourglass, Residual
from mspose_plugin.utils.errors import InputError
from mspose_plugin.utils.reference_hourglass import Bearpaw, Princeton, randomised

TINY = dict(num_keypoints=3, num_stacks=2, channels=16, depth=2, levels=(2, 1))


def images(*shape):
    """Return the same random images on every call."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(5))


def total(outputs):
    """Return a scalar to which every heatmap contributes differently."""
    maps = [h for stack in outputs for h in stack]
    return sum((i + 1) * (h - 0.5).square().sum() for i, h in enumerate(maps))


def parameters(**kwargs):
    """Count parameters in millions without making any."""
    with torch.device('meta'):
        return sum(p.numel() for p in MultiScaleHourglass(**kwargs).parameters()) / 1e6


@pytest.mark.parametrize('stacks, millions', [(1, 3.43), (2, 6.57), (4, 12.86), (8, 25.43)])
def test_published_parameter_counts(stacks, millions):
    assert round(parameters(num_stacks=stacks, levels=(1,)), 2) == millions


def test_a_level_adds_a_batch_norm_and_a_convolution_per_stack():
    extra = parameters(num_stacks=2) - parameters(num_stacks=2, levels=(1,))
    assert extra * 1e6 == pytest.approx(2 * 3 * (2 * 256 + 256 * 16 + 16))


def test_defaults_are_the_paper_s_network():
    net = MultiScaleHourglass(num_stacks=1)
    assert net.levels == (8, 4, 2, 1)
    with torch.device('meta'):
        assert len(MultiScaleHourglass().stacks) == 8


@pytest.mark.parametrize('published', [Princeton, Bearpaw])
@pytest.mark.parametrize('stacks', [1, 2])
def test_finest_level_alone_is_the_published_network(published, stacks):
    reference = randomised(published(stacks, width=64, keypoints=5, depth=3)).eval()
    converted = convert(reference.state_dict())
    net = MODELS.build(converted.backbone).eval()
    net.load_state_dict({k.removeprefix('backbone.'): v for k, v in converted.state_dict.items()})
    x = images(2, 3, 64, 96)
    with torch.no_grad():
        want, got = reference(x), net(x)
    assert len(got) == stacks and all(len(levels) == 1 for levels in got)
    for a, (b,) in zip(want, got):
        assert a.std() > 0.05
        torch.testing.assert_close(b, a, rtol=0, atol=1e-5)


def test_extra_levels_leave_the_others_as_they_are():
    few = MultiScaleHourglass(**{**TINY, 'levels': (1,)}).eval()
    many = MultiScaleHourglass(**TINY).eval()
    keys = many.load_state_dict(few.state_dict(), strict=False)
    assert [k for k in keys.missing_keys if '.coarse.' not in k] == keys.unexpected_keys == []
    x = images(1, 3, 32, 32)
    with torch.no_grad():
        for a, b in zip(few(x), many(x)):
            assert torch.equal(a[-1], b[-1])


@pytest.mark.parametrize('levels', [(8, 4, 2, 1), (4, 1), (2, 1), (8, 1), (1,)])
@pytest.mark.parametrize('size', [(128, 128), (192, 64)])
def test_shapes_coarse_to_fine(levels, size):
    net = MultiScaleHourglass(5, 2, channels=8, depth=4, levels=levels).eval()
    with torch.no_grad():
        outputs = net(images(2, 3, *size))
    assert len(outputs) == 2
    for stack in outputs:
        assert [tuple(h.shape) for h in stack] == [
            (2, 5, size[0] // 4 // level, size[1] // 4 // level) for level in levels
        ]


@pytest.mark.parametrize(
    'options, size',
    [
        (dict(depth=1, levels=(1,)), (24, 8)),
        (dict(depth=3, levels=(4, 1)), (32, 96)),
        (dict(depth=5, levels=(16, 1)), (128, 256)),
        (dict(stem_channels=(4, 6, 10)), (32, 16)),
        (dict(stem_channels=[3, 16, 2]), (16, 16)),
        (dict(channels=12), (16, 48)),
        (dict(num_stacks=1, num_keypoints=1), (16, 16)),
    ],
)
def test_odd_settings(options, size):
    options = {**TINY, **options}
    net = MultiScaleHourglass(**options)
    outputs = net(images(2, 3, *size))
    total(outputs).backward()
    assert len(outputs) == options['num_stacks']
    for level, heatmaps in zip(options['levels'], outputs[-1], strict=True):
        assert heatmaps.shape == (
            2,
            options['num_keypoints'],
            size[0] // 4 // level,
            size[1] // 4 // level,
        )


def test_each_level_reads_its_own_deconv_level():
    """The features of a deconv level, traced by hand, give that level's heatmaps."""
    net = MultiScaleHourglass(3, 1, channels=8, depth=3, levels=(4, 2, 1)).eval()
    x, stack = images(1, 3, 64, 64), net.stacks[0]
    with torch.no_grad():
        outputs = net(x)[0]
        features = stack.hourglass(net.stem(x))
        assert [f.shape[-1] for f in features] == [4, 8, 16]
        for heatmaps, predict, f in zip(outputs, stack.coarse.values(), features[:2]):
            assert torch.equal(heatmaps, predict(f))
        assert torch.equal(outputs[-1], stack.finest(stack.features(features[-1])))


def test_hourglass_without_blocks_pools_and_adds():
    """With identities for blocks: out = x + up(pool(x) + up(pool(pool(x)) + …))."""
    net = Hourglass(2, depth=2)
    for blocks in (net.skips, net.downs, net.ups):
        for i in range(2):
            blocks[i] = nn.Identity()
    net.bottom = nn.Identity()
    x = images(1, 2, 4, 8)
    pool, up = nn.MaxPool2d(2), nn.Upsample(scale_factor=2)
    coarse = pool(x) + up(pool(pool(x)))
    got = net(x)
    assert torch.equal(got[0], coarse) and torch.equal(got[1], up(coarse) + x)


def test_projection_only_where_the_width_changes():
    assert isinstance(Residual(8, 8).shortcut, nn.Identity)
    assert Residual(8, 12).shortcut.weight.shape == (12, 8, 1, 1)


def test_every_parameter_receives_gradient():
    net = MultiScaleHourglass(**TINY)
    total(net(images(2, 3, 32, 32))).backward()
    missing = [
        name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
    ]
    # a bias before a batch norm in training has no influence: its gradient may round to 0
    assert [name for name in missing if not name.endswith('.bias')] == []
    assert all(p.grad is not None for p in net.parameters())


def train_steps(net, dtype, steps=3):
    """Return outputs, gradients and buffers after some SGD steps."""
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-6)
    for i in range(steps):
        optimizer.zero_grad()
        outputs = net(images(2, 3, 32, 48).to(dtype) * (i + 1))
        total(outputs).backward()
        optimizer.step()
    return (
        [h for stack in outputs for h in stack],
        [p.grad for p in net.parameters()],
        list(net.buffers()),
    )


@pytest.mark.parametrize(
    'options, memory_format, dtype, tolerance',
    [
        (dict(with_cp=True), torch.contiguous_format, torch.float32, dict(rtol=0, atol=0)),
        ({}, torch.channels_last, torch.float64, dict(rtol=1e-9, atol=1e-9)),
    ],
)
def test_what_changes_no_result(options, memory_format, dtype, tolerance):
    """Outputs, gradients, statistics and their counters; float64 for sums in another order."""
    plain = MultiScaleHourglass(**TINY).to(dtype)
    other = MultiScaleHourglass(**TINY, **options).to(dtype, memory_format=memory_format)
    assert list(other.state_dict()) == list(plain.state_dict())
    other.load_state_dict(plain.state_dict())
    for want, got in zip(train_steps(plain, dtype), train_steps(other, dtype)):
        for a, b in zip(want, got, strict=True):
            torch.testing.assert_close(b, a, **tolerance)
    assert all(b == 3 for name, b in other.named_buffers() if name.endswith('tracked'))
    x = images(1, 3, 32, 32).to(dtype)
    with torch.no_grad():
        for a, b in zip(plain.eval()(x)[-1], other.eval()(x)[-1]):
            torch.testing.assert_close(b, a, **tolerance)


@pytest.mark.parametrize('frozen', [False, True])
def test_checkpointing_keeps_fewer_activations(frozen):
    """Also with batch norm in eval mode, as where a network is fixed."""
    kept = {}
    for with_cp in (False, True):
        net = MultiScaleHourglass(**TINY, with_cp=with_cp).train(not frozen)
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t, sizes=sizes: sizes.append(t.numel()) or t, lambda t: t
        ):
            outputs = net(images(2, 3, 32, 32))
        total(outputs).backward()
        kept[with_cp] = sum(sizes)
    assert kept[True] < 0.5 * kept[False]


def test_checkpointing_without_gradients_counts_statistics_once():
    """A forward pass in train mode under no_grad has no recomputation."""
    plain, other = MultiScaleHourglass(**TINY), MultiScaleHourglass(**TINY, with_cp=True)
    other.load_state_dict(plain.state_dict())
    with torch.no_grad():
        plain(images(2, 3, 32, 32))
        other(images(2, 3, 32, 32))
    for (name, a), b in zip(plain.named_buffers(), other.buffers(), strict=True):
        assert torch.equal(a, b), name


def test_checkpointing_with_synchronized_norms():
    """They refuse to train without a count of batches, which a recomputation must not raise."""
    net = nn.SyncBatchNorm.convert_sync_batchnorm(MultiScaleHourglass(**TINY, with_cp=True))
    total(net.train()(images(2, 3, 32, 32))).backward()
    counts = [b for name, b in net.named_buffers() if name.endswith('num_batches_tracked')]
    assert counts and all(count == 1 for count in counts)


def test_deep_copy_and_state_dict_round_trip():
    net = MultiScaleHourglass(**TINY).eval()
    other = MultiScaleHourglass(**TINY).eval()
    other.load_state_dict(copy.deepcopy(net).state_dict())
    x = images(1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(net(x)[1][0], other(x)[1][0])


@pytest.mark.parametrize(
    'options, words',
    [
        (dict(levels=(3, 1)), 'levels'),
        (dict(levels=(4, 2)), 'ending in 1'),
        (dict(levels=(1, 2)), 'coarse to fine'),
        (dict(levels=(8, 1)), 'depth=2'),
        (dict(levels=(2, 2, 1)), 'levels'),
        (dict(levels=()), 'levels'),
        (dict(channels=15), 'even'),
        (dict(channels=0), 'even'),
        (dict(num_stacks=0), 'num_stacks=0: expected a whole number of 1 or more'),
        (dict(num_keypoints=0), 'num_keypoints=0'),
        (dict(stem_channels=(8, 8)), 'stem_channels'),
        (dict(stem_channels=(8, 7, 8)), 'stem_channels'),
        (dict(stem_channels=(0, 8, 8)), 'stem_channels'),
        (dict(depth=0), 'depth'),
    ],
)
def test_wrong_settings_name_themselves(options, words):
    with pytest.raises(InputError, match=words):
        MultiScaleHourglass(**{**TINY, **options})


@pytest.mark.parametrize('size', [(32, 36), (24, 32), (8, 8)])
def test_input_size_that_cannot_be_halved(size):
    with pytest.raises(
        InputError, match=rf'codec.input_size=\({size[1]}, {size[0]}\): expected multiples of 16'
    ):
        MultiScaleHourglass(**TINY)(images(1, 3, *size))


class UpsampleInFloat32(nn.Upsample):
    """As CUDA's autocast up-samples; the CPU's does not."""

    def forward(self, x):
        return super().forward(x.float())


def test_autocast_stays_in_its_precision_on_a_gpu():
    hourglass = Hourglass(8, 2)
    hourglass.upsample = UpsampleInFloat32(scale_factor=2)
    with torch.autocast('cpu', torch.bfloat16):
        outs = hourglass(images(1, 8, 8, 8).bfloat16())
    assert [y.dtype for y in outs] == [torch.bfloat16] * 2
