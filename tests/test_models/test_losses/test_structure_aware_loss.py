"""The structure-aware loss against sums written out, and what must hold for any setting."""

import math

import numpy as np
import pytest
import torch
from mmpose.registry import MODELS
from torch import nn

from mspose_plugin.models.losses import StructureAwareLoss
from mspose_plugin.skeletons import GROUPS
from mspose_plugin.utils.errors import InputError

CHAIN = [(0, 1), (1, 0, 2), (2, 1)]
SETTINGS = [(norm, combine) for norm in ('mse', 'l2') for combine in ('sum', 'max')]


def heatmaps(batch=3, keypoints=16, size=(6, 5), dtype=torch.float64):
    """Return random predictions, targets and non-binary weights with zeros among them."""
    output, target = torch.rand(2, batch, keypoints, *size, dtype=dtype)
    weights = torch.rand(batch, keypoints, dtype=dtype) * 2
    return output - 0.2, target, weights * (torch.rand(batch, keypoints) > 0.3)


def brute_force(output, target, weights, groups, alpha, norm, combine):
    """Eq. 2 with a loop for every symbol but the pixels."""
    output, target, weights = (x.numpy() for x in (output, target, weights))
    total = 0.0
    for b in range(len(output)):
        for n, group in enumerate(groups):
            labelled = [m for m in group if weights[b, m] > 0]
            difference = np.zeros(output.shape[2:])
            if combine == 'sum':
                for m in labelled:
                    difference += weights[b, m] * (output[b, m] - target[b, m])
            elif labelled:
                difference = np.max([output[b, m] for m in labelled], axis=0) - np.max(
                    [target[b, m] for m in labelled], axis=0
                )
            plain = ((output[b, n] - target[b, n]) ** 2).sum()
            structural = (difference**2).sum()
            if norm == 'l2':
                plain, structural = math.sqrt(plain), math.sqrt(structural)
            total += weights[b, n] * plain + alpha * structural
    return total / len(output) / len(groups)


@pytest.mark.parametrize('norm, combine', SETTINGS)
@pytest.mark.parametrize('alpha', [0.0, 0.05, 0.7])
def test_against_the_sums_written_out(norm, combine, alpha):
    data = heatmaps()
    loss = StructureAwareLoss('mpii', alpha=alpha, norm=norm, combine=combine)
    want = brute_force(*data, GROUPS['mpii'], alpha, norm, combine)
    assert loss(*data).item() == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize('norm, combine', SETTINGS)
def test_gradients(norm, combine):
    output, target, weights = heatmaps(batch=2, keypoints=3, size=(2, 3))
    loss = StructureAwareLoss(groups=CHAIN, alpha=0.6, norm=norm, combine=combine)
    assert torch.autograd.gradcheck(
        lambda o, t: loss(o, t, weights), (output.requires_grad_(), target.requires_grad_())
    )


@pytest.mark.parametrize('norm', ['mse', 'l2'])
def test_alpha_zero_is_the_plain_loss_bit_for_bit(norm):
    for size in ((64, 64), (8, 8)):
        output, target, weights = heatmaps(size=size, dtype=torch.float32)
        zero = StructureAwareLoss('mpii', alpha=0.0, norm=norm)(output, target, weights)
        plain = StructureAwareLoss(norm=norm)(output, target, weights)
        assert torch.equal(zero, plain)
        square = (output.double() - target.double()).square().sum((2, 3))
        want = (weights * (square if norm == 'mse' else square.sqrt())).mean()
        torch.testing.assert_close(zero.double(), want, rtol=1e-6, atol=0)


@pytest.mark.parametrize('norm, combine', SETTINGS)
def test_unlabelled_keypoints_take_part_in_no_group(norm, combine):
    """Neither their heatmaps nor their targets change the loss, and they get no gradient."""
    output, target, weights = heatmaps()
    weights[:, [1, 8, 12]] = 0
    loss = StructureAwareLoss('mpii', alpha=0.5, norm=norm, combine=combine)
    output.requires_grad_()
    value = loss(output, target, weights)
    (gradient,) = torch.autograd.grad(value, output)
    other_output, other_target = output.detach().clone(), target.clone()
    other_output[weights == 0] = 50
    other_target[weights == 0] = -70
    other_output.requires_grad_()
    other_value = loss(other_output, other_target, weights)
    (other_gradient,) = torch.autograd.grad(other_value, other_output)
    assert torch.equal(gradient[weights == 0], torch.zeros_like(gradient[weights == 0]))
    torch.testing.assert_close(other_value, value)
    torch.testing.assert_close(other_gradient, gradient)


@pytest.mark.parametrize('norm, combine', SETTINGS)
def test_nothing_labelled_costs_nothing(norm, combine):
    output, target, weights = heatmaps()
    loss = StructureAwareLoss('mpii', alpha=0.5, norm=norm, combine=combine)
    value = loss(output.requires_grad_(), target, torch.zeros_like(weights))
    value.backward()
    assert value == 0 and output.grad.abs().max() == 0


@pytest.mark.parametrize('norm, combine', SETTINGS)
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
def test_perfect_prediction_has_loss_and_gradient_zero(norm, combine, dtype):
    _, target, weights = heatmaps(dtype=torch.float32)
    output = target.to(dtype).requires_grad_()
    loss = StructureAwareLoss('mpii', alpha=0.5, norm=norm, combine=combine)
    value = loss(output, output.detach(), weights)
    value.backward()
    assert value == 0 and torch.equal(output.grad, torch.zeros_like(output))


@pytest.mark.parametrize('norm, combine', SETTINGS)
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_autocast_computes_in_float32(norm, combine, dtype):
    """Heatmaps that come in half precision: sums beyond float16's range stay finite."""
    image, (_, target, weights) = torch.rand(3, 3, 64, 64), heatmaps(3, 16, (64, 64), torch.float32)
    predict = nn.Conv2d(3, 16, 1)
    nn.init.normal_(predict.weight, std=5)
    loss = StructureAwareLoss('mpii', alpha=0.5, norm=norm, combine=combine)
    with torch.autocast('cpu', dtype=dtype):
        output = predict(image)
        assert output.dtype == dtype
        value = loss(output, target, weights)
    value.backward()
    assert value.dtype == torch.float32 and value.isfinite()
    assert norm == 'l2' or value > torch.finfo(torch.float16).max
    torch.testing.assert_close(value, loss(output.detach().float(), target, weights))
    assert predict.weight.grad.isfinite().all() and predict.weight.grad.abs().sum() > 0


@pytest.mark.parametrize('norm', ['mse', 'l2'])
def test_grows_as_the_maximum_moves_away(norm):
    """Near zero at the optimum, larger at every further pixel while the Gaussians overlap."""
    grid = torch.arange(32.0)

    def gaussians(shift):
        centers = torch.tensor([8.0, 16.0, 24.0])[:, None] + shift
        line = torch.exp(-(grid - centers).square() / 8)
        return (line[:, :, None] * line[:, None, :])[None]

    loss = StructureAwareLoss(groups=CHAIN, alpha=0.5, norm=norm)
    values = [loss(gaussians(shift), gaussians(0)).item() for shift in range(5)]
    assert values[0] == 0 and values == sorted(values)
    assert len(set(values)) == len(values)


def test_errors_of_neighbours_in_one_place_add_up():
    """What the structural term is for: the same wrong peak for two neighbours costs more."""
    target = torch.zeros(1, 3, 4, 4)
    same, apart = target.clone(), target.clone()
    same[0, :2, 1, 1] = 1
    apart[0, 0, 1, 1] = apart[0, 1, 3, 3] = 1
    for alpha, relation in ((0.0, torch.eq), (0.5, torch.gt)):
        loss = StructureAwareLoss(groups=CHAIN, alpha=alpha)
        assert relation(loss(same, target), loss(apart, target))


def test_no_weights_are_weights_of_one():
    output, target, weights = heatmaps()
    loss = StructureAwareLoss('mpii', alpha=0.3)
    assert torch.equal(loss(output, target), loss(output, target, torch.ones_like(weights)))


def test_groups_as_a_mapping_from_a_config():
    groups = {n: list(g) for n, g in reversed(list(enumerate(GROUPS['flic'])))}
    loss = MODELS.build(dict(type='StructureAwareLoss', groups=groups, alpha=0.1, loss_weight=3))
    data = heatmaps(keypoints=11)
    assert loss.groups == [sorted(g) for g in GROUPS['flic']]
    assert loss(*data) == 3 * StructureAwareLoss('flic', alpha=0.1)(*data)
    assert not loss.state_dict()


@pytest.mark.parametrize(
    'options, words',
    [
        (dict(norm='l1'), "norm='l1'"),
        (dict(combine='mean'), "combine='mean'"),
        (dict(alpha=-1), 'alpha=-1'),
        (dict(alpha=1), 'either skeleton or groups'),
        (dict(alpha=1, skeleton='mpii', groups=CHAIN), 'either skeleton or groups'),
        (dict(alpha=1, skeleton='ape'), "'ape': expected one of 'mpii'"),
        (
            dict(alpha=1, groups=[(0, 1), (1, 2)]),
            r'group 1=\(1, 2\): expected some of the keypoints 0 to 1',
        ),
        (dict(alpha=1, groups=[(0, -1), (1,)]), r'group 0=\(0, -1\)'),
        (dict(alpha=1, groups=[(0,), ()]), r'group 1=\(\)'),
        (dict(alpha=1, groups={0: [0], 2: [0]}), r'group 1=\(\)'),
    ],
)
def test_wrong_settings_name_themselves(options, words):
    with pytest.raises(InputError, match=words):
        StructureAwareLoss(**options)


def test_shapes_that_do_not_agree():
    output, target, weights = heatmaps()
    loss = StructureAwareLoss('mpii', alpha=0.1)
    for wrong in [
        (output, target[:, :, :3], weights),
        (output, target, weights[:, :3]),
        (output, target, weights[..., None]),
        (output[:1], target, weights[:1]),
    ]:
        with pytest.raises(InputError, match=r'expected \[B, K, H, W\] twice and \[B, K\]'):
            loss(*wrong)
    with pytest.raises(InputError, match='number of groups=16: expected 11, one for each keypoint'):
        loss(*heatmaps(keypoints=11))


def test_a_wrong_skeleton_is_refused_even_where_it_has_no_weight():
    with pytest.raises(InputError, match="skeleton='typo': expected one of"):
        StructureAwareLoss('typo')
    with pytest.raises(InputError, match='group 1='):
        StructureAwareLoss(groups=[(0,), (5,)])


def test_a_metainfo_is_a_skeleton():
    info = dict(
        dataset_name='pliers',
        keypoint_info={i: dict(name=name) for i, name in enumerate('abcd')},
        skeleton_info={0: dict(link=('a', 'b')), 1: dict(link=('c', 'b'))},
        joint_weights=[1.0] * 4,
        sigmas=[0.1] * 4,
    )
    assert StructureAwareLoss(skeleton=info, alpha=1).groups == [[0, 1], [0, 1, 2], [1, 2], [3]]
    with pytest.raises(InputError, match='skeleton is not the metainfo'):
        StructureAwareLoss(skeleton=dict(a=1))
