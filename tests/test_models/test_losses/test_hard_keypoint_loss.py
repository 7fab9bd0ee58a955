"""Hard keypoint mining against MMPose's loops and against sums written out."""

import pytest
import torch
from mmpose.models.losses import KeypointOHKMMSELoss

from mspose_plugin.models.losses import HardKeypointMSELoss
from mspose_plugin.utils.errors import InputError


def data(dtype=torch.float64):
    """Return predictions, targets and weights of which some are 0."""
    torch.manual_seed(0)
    output, target = torch.rand(2, 5, 17, 6, 4, dtype=dtype)
    return output, target, (torch.rand(5, 17) > 0.3).to(dtype)


@pytest.mark.parametrize('topk', [1, 8, 17])
def test_same_as_mmpose(topk):
    output, target, weights = data()
    ours, theirs = [], []
    for values, loss in (
        (ours, HardKeypointMSELoss(topk=topk, loss_weight=0.7)),
        (theirs, KeypointOHKMMSELoss(use_target_weight=True, topk=topk, loss_weight=0.7)),
    ):
        leaf = output.clone().requires_grad_()
        value = loss(leaf, target, weights)
        values += [value, *torch.autograd.grad(value, leaf)]
    assert all(torch.allclose(a, b, rtol=1e-12, atol=0) for a, b in zip(ours, theirs))


def test_only_the_hardest_count():
    output, target, _ = data()
    target = torch.zeros_like(target)
    output = torch.arange(17.0).view(1, 17, 1, 1).expand(5, 17, 6, 4)
    assert HardKeypointMSELoss(topk=2)(output, target).item() == (16**2 + 15**2) / 2
    weights = torch.ones(5, 17)
    weights[:, 16] = 0  # unlabelled: never among the hard ones
    assert HardKeypointMSELoss(topk=2)(output, target, weights).item() == (15**2 + 14**2) / 2


def test_all_keypoints_is_the_plain_loss():
    output, target, _ = data()
    assert HardKeypointMSELoss(topk=17)(output, target).item() == pytest.approx(
        (output - target).square().mean().item(), rel=1e-12
    )


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_computes_in_float32(dtype):
    output, target, weights = data(torch.float32)
    with torch.autocast('cpu', torch.bfloat16):
        value = HardKeypointMSELoss()(output.to(dtype) * 200, target, weights)
    assert value.dtype == torch.float32 and value.isfinite()


def test_too_many_and_too_few():
    output, target, _ = data()
    with pytest.raises(InputError, match='topk=18: expected at most 17, the number of keypoints'):
        HardKeypointMSELoss(topk=18)(output, target)
    with pytest.raises(InputError, match='topk=0: expected a whole number of 1 or more'):
        HardKeypointMSELoss(topk=0)
