"""Channels-last, the default: the same results, and weights that load either way."""

import pytest
import torch
from mmpose.registry import MODELS
from torch import nn
from torch.utils._pytree import tree_leaves


@pytest.mark.parametrize(
    'parts',
    [
        dict(
            backbone=dict(type='MultiScaleHourglass', num_stacks=2, channels=8, context='stem'),
            head=dict(type='MSRHead', channels=8, context_channels=8),
        ),
        dict(
            backbone=dict(type='ResNeSt', depth=50, stem_channels=64, out_indices=(0, 1, 2, 3)),
            neck=dict(type='MultiLevelNeck', channels=8),
            head=dict(type='MLPEHead', channels=8),
        ),
    ],
    ids=['msspose', 'mlpe'],
)
def test_channels_last_all_through_changes_no_result(parts):
    """Weights load either way, every map of several channels is laid out so, results are equal."""
    cfg = dict(type='ConditionalTopdownPoseEstimator', **parts)
    plain = MODELS.build(dict(cfg, channels_last=False)).double()
    fast = MODELS.build(cfg).double()
    fast.load_state_dict(plain.state_dict())
    made = []
    for module in fast.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda module, args, output: made.append(output))
    images = torch.rand(2, 3, 64, 64, dtype=torch.float64)
    outputs = [tree_leaves(model(images, None, mode='tensor')) for model in (plain, fast)]
    for want, got in zip(*outputs, strict=True):
        torch.testing.assert_close(got, want)
    assert made and all(x.is_contiguous(memory_format=torch.channels_last) for x in made)
    for heatmaps in outputs:
        sum(h.square().sum() for h in heatmaps).backward()
    for want, got in zip(plain.parameters(), fast.parameters(), strict=True):
        assert (want.grad is None) == (got.grad is None)
        if want.grad is not None:
            torch.testing.assert_close(got.grad, want.grad)
    plain.load_state_dict(fast.state_dict())
    assert all(map(torch.equal, plain.state_dict().values(), fast.state_dict().values()))
