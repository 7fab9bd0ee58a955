import re

import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

from mspose_plugin.models.backbones import MultiScaleHourglass
from mspose_plugin.models.heads import MSRHead, MSSHead
from mspose_plugin.utils.errors import InputError

K, LEVELS = 4, (2, 1)
CODEC = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1)


def network(context='stem', context_channels=16, **head):
    torch.manual_seed(0)
    backbone = MultiScaleHourglass(
        K, num_stacks=2, channels=16, depth=2, levels=LEVELS, context=context
    )
    head = MSRHead(
        K, LEVELS, channels=16, depth=2, context_channels=context_channels, decoder=CODEC, **head
    )
    return backbone, head


def batch(num=2):
    samples = []
    for _ in range(num):
        sample = PoseDataSample(metainfo=dict(flip_indices=[1, 0, 3, 2]))
        sample.gt_fields = PixelData(heatmaps=torch.rand(K, 16, 16))
        sample.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, K))
        samples.append(sample)
    return samples


@pytest.mark.parametrize('context, channels', [('stem', 16), ('image', 3), (None, 0)])
def test_refined_maps_follow_those_of_the_stacks(context, channels):
    backbone, head = network(context, channels)
    feats = backbone(torch.rand(2, 3, 64, 64))
    outputs = head(feats)
    assert len(outputs) == 3
    assert all(a is b for a, b in zip(outputs[:2], feats if context is None else feats.heatmaps))
    assert [tuple(h.shape) for h in outputs[-1]] == [(2, K, 8, 8), (2, K, 16, 16)]


def test_every_level_and_the_context_reach_the_prediction():
    backbone, head = network()
    head.eval()
    feats = backbone.eval()(torch.rand(1, 3, 64, 64))
    predicted = head(feats)[-1][-1]
    for changed in (*feats.heatmaps[-1], feats.context):
        kept = changed.detach().clone()
        with torch.no_grad():
            changed += 1
            assert not torch.allclose(head(feats)[-1][-1], predicted)
            changed.copy_(kept)


@pytest.mark.parametrize('stacks', [1, 2])
def test_it_reads_the_last_stacks(stacks):
    backbone, head = network(input_stacks=stacks)
    head.eval()
    feats = backbone.eval()(torch.rand(1, 3, 64, 64))
    predicted = head(feats)[-1][-1].detach()
    for n, stack in enumerate(feats.heatmaps, 1):
        for heatmaps in stack:
            with torch.no_grad():
                heatmaps += 1
                changed = not torch.allclose(head(feats)[-1][-1], predicted)
                heatmaps -= 1
            assert changed == (n > len(feats.heatmaps) - stacks)


def test_more_stacks_than_there_are():
    backbone, head = network(input_stacks=3)
    with pytest.raises(InputError, match='input_stacks=3: expected at most 2, as the backbone has'):
        head(backbone(torch.rand(1, 3, 64, 64)))


@pytest.mark.parametrize('trained', [True, False])
def test_weights_carry_what_they_were_trained_with(trained):
    _, source = network(refine=trained)
    _, target = network(refine=not trained)
    saved = {name: value.cpu() for name, value in source.state_dict().items()}  # as mmengine does
    target.load_state_dict(saved)
    assert target.refine is trained


def test_weights_from_before_leave_it_to_the_config():
    _, head = network(refine=False)
    state = {k: v for k, v in head.state_dict().items() if not k.endswith('_extra_state')}
    assert head.load_state_dict(state, strict=False).missing_keys == ['_extra_state']
    assert head.refine is False


def test_switched_off_it_is_an_mss_head():
    backbone, head = network(refine=False)
    plain = MSSHead(decoder=CODEC)
    feats, samples = backbone(torch.rand(2, 3, 64, 64)), batch()
    losses, expected = head.loss(feats, samples), plain.loss(feats, samples)
    assert losses.keys() == expected.keys()
    assert all(torch.equal(losses[k], expected[k]) for k in expected)
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    assert all(p.grad is None for p in head.regression.parameters())


def test_the_regression_is_supervised_at_every_level_and_logged_apart():
    backbone, head = network()
    losses = head.loss(backbone(torch.rand(2, 3, 64, 64)), batch())
    assert set(losses) == {'loss_8x8', 'loss_16x16', 'loss_msr_8x8', 'loss_msr_16x16', 'acc_pose'}
    (losses['loss_msr_8x8'] + losses['loss_msr_16x16']).backward()
    missing = [n for n, p in head.named_parameters() if p.grad is None]
    assert not missing
    assert all(p.grad is not None for p in backbone.stem.parameters())


@pytest.mark.parametrize('flip', [False, True])
def test_both_maps_can_be_inspected(flip):
    backbone, head = network()
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        feats = [backbone.eval()(x), backbone(x.flip(-1))] if flip else backbone.eval()(x)
        head.eval()
        _, fields = head.predict(feats, batch(), dict(flip_test=flip, output_heatmaps=True))
        outputs = head(feats[0] if flip else feats)
    if not flip:
        assert torch.equal(fields[1].heatmaps, outputs[-1][-1][1])
        assert torch.equal(fields[1].mss_heatmaps, outputs[-2][-1][1])
    assert fields[0].mss_heatmaps.shape == fields[0].heatmaps.shape == (K, 16, 16)


def test_the_refined_map_is_decoded():
    backbone, head = network()
    feats = backbone.eval()(torch.rand(1, 3, 64, 64))
    head.eval()
    with torch.no_grad():
        for p in head.regression.stack.finest.parameters():
            p.zero_()
        head.regression.stack.finest.bias.copy_(torch.arange(K))
        preds = head.predict(feats, batch(1))
    assert preds[0].keypoint_scores[0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize('context', [None, 'image'])
def test_a_backbone_with_another_context_is_named(context):
    backbone, head = network(context)
    with pytest.raises(InputError, match='backbone.context'):
        head(backbone(torch.rand(1, 3, 64, 64)))


@pytest.mark.parametrize('keypoints, levels', [(K + 1, LEVELS), (K, (1,)), (K, (4, 1))])
def test_a_backbone_of_other_keypoints_or_levels_is_named(keypoints, levels):
    _, head = network()
    backbone = MultiScaleHourglass(
        keypoints, num_stacks=1, channels=16, depth=3, levels=levels, context='stem'
    )
    theirs = re.escape(f"expected the backbone's ({keypoints}, {levels})")
    with pytest.raises(InputError, match=theirs):
        head(backbone(torch.rand(1, 3, 64, 64)))


def test_levels_that_the_depth_does_not_have():
    with pytest.raises(InputError, match=r'head.levels=.*: expected factors of \(4, 2, 1\)'):
        MSRHead(K, depth=3)


def test_an_unknown_context_is_refused():
    with pytest.raises(InputError, match='context'):
        MODELS.build(dict(type='MultiScaleHourglass', context='text'))
