"""MLPEHead's outputs, its multi-level targets and losses, and what it refuses."""

import numpy as np
import pytest
import torch
from head_samples import FLIP, make_sample
from mmpose.codecs import MSRAHeatmap
from mmpose.registry import MODELS
from torch import nn

from mspose_plugin.models.heads import MLPEHead
from mspose_plugin.utils.errors import InputError

K = 4
SIGMAS = (2.0, 1.5, 1.2, 1.0)
CODEC = dict(type='MSRAHeatmap', input_size=(96, 64), heatmap_size=(24, 16), sigma=2.0)
KEYPOINTS = [(5, 60), (90, 3), (40, 31.5), (20, 8)]
SIZES = [(2, 3), (4, 6), (8, 12), (16, 24)]


def make_head(**kwargs):
    """Return a small head for four keypoints, of which all labelled ones count."""
    torch.manual_seed(0)
    kwargs = {
        **dict(
            num_keypoints=K,
            channels=8,
            sigmas=SIGMAS,
            decoder=CODEC,
            occluded_in_levels='count',
            fine_loss=dict(type='HardKeypointMSELoss', topk=2),
        ),
        **kwargs,
    }
    head = MLPEHead(**kwargs)
    head.init_weights()
    return head


def make_levels(sizes=SIZES, batch=2):
    """Return the neck's levels, coarse to fine."""
    torch.manual_seed(1)
    return [torch.randn(batch, 8, *size) for size in sizes]


def make_batch():
    """Return two samples; keypoint 1 of the first is unlabelled, 2 of the second occluded."""
    batch = [
        make_sample(visible=[1, 0, 1, 1], codec=CODEC),
        make_sample(keypoints=KEYPOINTS, visible=[1, 1, 1, 1], codec=CODEC),
    ]
    for sample, visible in zip(batch, ([[1.0, 0.0, 1.0, 1.0]], [[1.0, 1.0, 0.0, 1.0]])):
        sample.gt_instance_labels.keypoints_visible_weights = torch.tensor(visible)
    return batch


class Recorder(nn.Module):
    """A loss that keeps what it was given."""

    def __init__(self):
        super().__init__()
        self.targets, self.weights = [], []

    def forward(self, output, target, weights):
        self.targets.append(target)
        self.weights.append(weights.tolist())
        return output.sum()


@pytest.mark.parametrize('kernel', [1, 3])
def test_one_prediction_for_each_level_and_the_fine_one(kernel):
    head = make_head(prediction_kernel=kernel)
    outputs = head(make_levels())
    assert [tuple(o.shape) for o in outputs] == [(2, K, 16, 24)] * 5
    assert {p[3].kernel_size for p in head.predictors} == {(kernel, kernel)}
    # 3, 2, 1, 0 bottlenecks and as many transposed convolutions
    assert [sum(isinstance(m, nn.ConvTranspose2d) for m in b.modules()) for b in head.branches] == [
        3,
        2,
        1,
        0,
    ]
    assert [sum(type(m).__name__ == 'Bottleneck' for m in b) for b in head.branches] == [3, 2, 1, 0]


def test_levels_that_are_not_exact_doubles():
    outputs = make_head()(make_levels([(2, 3), (4, 5), (7, 10), (13, 19)]))
    assert [tuple(o.shape) for o in outputs] == [(2, K, 13, 19)] * 5


def test_cut_levels_start_where_the_others_do():
    """What the fine network sees of cut levels is the beginning of what it sees of whole ones."""
    head = make_head().eval()
    head.fine = nn.Identity()
    whole = make_levels()
    cut = [*whole[:3], whole[3][:, :, :15, :23]]
    a, b = (head.predict_heatmaps(levels)['heatmaps'] for levels in (cut, whole))
    assert torch.equal(a, b[:, :, :15, :23])


def test_level_predictions_are_interpolated_with_aligned_corners_then_normalised():
    head, levels = make_head().eval(), make_levels([(2, 3), (4, 5), (7, 10), (13, 19)])
    for norm in head.predictor_norms:
        nn.init.normal_(norm.bias)
    for heatmaps, level, predict, norm in zip(
        head(levels), levels, head.predictors, head.predictor_norms
    ):
        want = nn.functional.interpolate(
            predict(level), (13, 19), mode='bilinear', align_corners=True
        )
        assert torch.allclose(heatmaps, norm(want), atol=1e-6)


def test_loaded_weights_stay(tmp_path):
    state = make_head().state_dict()
    state = {k: torch.full_like(v, 2) for k, v in state.items()}
    torch.save(dict(state_dict=state), tmp_path / 'head.pth')
    head = MODELS.build(
        dict(
            type='MLPEHead',
            num_keypoints=K,
            channels=8,
            sigmas=SIGMAS,
            decoder=CODEC,
            init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'head.pth'), strict=True),
        )
    )
    head.init_weights()
    assert all((v == 2).all() for v in head.state_dict().values())


def test_targets_are_what_mmpose_draws_with_each_sigma():
    """One target crosses over; every narrower Gaussian must be MMPose's, but for its cut tails."""
    head = make_head(sigmas=(2.0, 5 / 3, 4 / 3, 1.0))
    head.loss_module = head.fine_loss_module = recorder = Recorder()
    head.loss(make_levels(), make_batch())
    assert len(recorder.targets) == 5
    for target, sigma in zip(recorder.targets, (*head.sigmas, head.sigmas[-1])):
        want = MSRAHeatmap((96, 64), (24, 16), sigma).encode(
            np.array([KEYPOINTS], np.float32), np.ones((1, K), np.float32)
        )['heatmaps']
        difference = np.abs(target[1].numpy() - want)
        assert difference[want > 0].max() < 1e-5
        assert difference.max() < np.exp(-4.5)  # MMPose cuts at 3 sigma
    assert recorder.targets[0][0, 1].abs().max() == 0  # unlabelled


def test_losses_against_the_sums_written_out():
    head, batch, levels = make_head(), make_batch(), make_levels()
    losses = head.loss(levels, batch)
    assert list(losses) == ['loss_c5', 'loss_c4', 'loss_c3', 'loss_c2', 'loss_fine', 'acc_pose']
    *maps, fine = head(levels)
    drawn = torch.stack([s.gt_fields.heatmaps for s in batch])
    weights = torch.tensor([[1.0, 0, 1, 1], [1, 1, 1, 1]])
    for name, heatmaps, sigma in zip(losses, maps, SIGMAS):
        target = drawn ** ((2 / sigma) ** 2)
        want = 0.5 * (weights[..., None, None] * (heatmaps - target) ** 2).mean()
        assert losses[name].item() == pytest.approx(want.item(), rel=1e-5)
    errors = ((fine - target) ** 2).mean((2, 3)) * weights
    want = sum(sum(sorted(row.tolist())[-2:]) for row in errors) / 4
    assert losses['loss_fine'].item() == pytest.approx(want, rel=1e-5)


@pytest.mark.parametrize(
    'levels, weights',
    [
        ('count', [[1, 0, 1, 1], [1, 1, 1, 1]]),
        ('mask', [[1, 0, 1, 1], [1, 1, 0, 1]]),
        ('empty', [[1, 1, 1, 1], [1, 1, 1, 1]]),
    ],
)
@pytest.mark.parametrize('fine', [True, False])
def test_occluded_keypoints_count_where_asked(levels, weights, fine):
    head, batch = make_head(occluded_in_levels=levels, occluded_in_fine=fine), make_batch()
    head.loss_module, head.fine_loss_module = Recorder(), Recorder()
    head.loss(make_levels(), batch)
    assert head.loss_module.weights == [weights] * 4
    assert head.fine_loss_module.weights == [[[1, 0, 1, 1], [1, 1, float(fine), 1]]]
    peaks = [target.amax((2, 3)).gt(0).tolist() for target in head.loss_module.targets]
    assert peaks == [[[True, False, True, True], [True, True, levels != 'empty', True]]] * 4
    assert head.fine_loss_module.targets[0].amax((2, 3))[1, 2] > 0


def test_the_default_is_the_releases_loss():
    """Its arithmetic: every level's map against label * (v > 1), halved; OHKM on v > 0."""
    head, batch, levels = (
        MLPEHead(K, 8, sigmas=SIGMAS, fine_loss=dict(type='HardKeypointMSELoss', topk=2)),
        make_batch(),
        make_levels(),
    )
    losses = head.loss(levels, batch)
    *maps, fine = head(levels)
    drawn = torch.stack([s.gt_fields.heatmaps for s in batch])
    visible = torch.tensor([[2, 0, 2, 2], [2, 2, 1, 2]])
    for name, heatmaps, sigma in zip(losses, maps, SIGMAS):
        label = drawn ** ((2 / sigma) ** 2) * (visible > 1)[..., None, None]
        want = nn.functional.mse_loss(heatmaps, label) / 2
        assert losses[name].item() == pytest.approx(want.item(), rel=1e-5)
    errors = (fine - drawn ** ((2 / SIGMAS[-1]) ** 2)).square().mean((2, 3)) * (visible > 0)
    assert losses['loss_fine'].item() == pytest.approx(
        errors.topk(2).values.mean().item(), rel=1e-5
    )


def test_occlusion_has_to_be_known():
    sample = make_sample(visible=[1, 1, 1, 1], codec=CODEC)
    with pytest.raises(InputError, match=r"put dict\(type='MarkOccluded'\) after GenerateTarget"):
        make_head(occluded_in_fine=False).loss(make_levels(batch=1), [sample])


def test_every_parameter_learns():
    head = make_head(fine_loss=dict(type='HardKeypointMSELoss', topk=K))
    losses = head.loss(make_levels(), make_batch())
    sum(v for k, v in losses.items() if k.startswith('loss')).backward()
    assert all(p.grad is not None for p in head.parameters())


def test_starts_at_the_scale_of_heatmaps():
    outputs = make_head()(make_levels(batch=8))
    assert all(0.05 < o.std() < 0.15 for o in outputs)


def test_predicts_from_the_fine_network_alone():
    head, batch = make_head().eval(), make_batch()
    levels = make_levels()
    for norm in head.predictor_norms:  # would show
        nn.init.constant_(norm.weight, float('nan'))
    preds, fields = head.predict(levels, batch, dict(output_heatmaps=True))
    assert torch.equal(fields[1].heatmaps, head(levels)[-1][1])
    want, scores = head.decoder.decode(fields[1].heatmaps.detach().numpy())
    assert np.allclose(preds[1].keypoints, want)
    assert np.allclose(preds[1].keypoint_scores, scores)


def test_flip_test_averages_with_the_mirrored_maps():
    head, batch = make_head().eval(), make_batch()
    plain, mirrored = make_levels(), [level.flip(3) for level in make_levels()]
    cfg = dict(flip_test=True, flip_mode='heatmap', shift_heatmap=False, output_heatmaps=True)
    _, fields = head.predict([plain, mirrored], batch, cfg)
    a, b = head(plain)[-1], head(mirrored)[-1].flip(3)[:, FLIP]
    assert torch.allclose(fields[0].heatmaps, (0.5 * (a + b))[0], atol=1e-6)


def test_weight_decay_is_as_strong_as_with_targets_of_255():
    """``schedules/adam_step.py``: the factor 255 ** 2 of the losses makes up for targets of 1.

    The same prediction at both scales: targets and the last batch norms differ by 255.
    """

    def decay_over_gradient(scale, weight):
        head, batch = (
            make_head(
                sigmas=(2.0,) * 4,
                occluded_in_levels='empty',
                loss=dict(type='KeypointMSELoss', use_target_weight=True, loss_weight=weight),
                fine_loss=dict(type='HardKeypointMSELoss', topk=2, loss_weight=weight),
            ),
            make_batch(),
        )
        for sample in batch:
            sample.gt_fields.heatmaps = sample.gt_fields.heatmaps * scale
        last = {*head.predictor_norms, head.fine[-1]}
        with torch.no_grad():
            for p in (p for norm in last for p in norm.parameters()):
                p *= scale
        losses = head.loss(make_levels(), batch, dict(compute_acc=False))
        sum(losses.values()).backward()
        skip = {p for norm in last for p in norm.parameters()}
        return torch.stack(
            [
                1e-5 * p.detach().norm() / p.grad.norm()
                for p in head.parameters()
                if p not in skip and p.detach().norm() > 0
            ]
        )

    release = decay_over_gradient(255, 1.0)
    assert torch.allclose(decay_over_gradient(1, 255.0**2), release, rtol=1e-2)
    assert torch.allclose(decay_over_gradient(1, 1.0), release * 255**2, rtol=1e-2)


@pytest.mark.parametrize(
    'kwargs, message',
    [
        (dict(prediction_kernel=2), 'prediction_kernel=2: expected an odd number'),
        (dict(sigmas=(1.0, 2.0, 3.0, 4.0)), 'none larger than the one before'),
        (
            dict(occluded_in_levels=False),
            "occluded_in_levels=False: expected one of 'empty', 'mask'",
        ),
        (dict(sigmas=(2.0, 1.0, 0.0)), 'expected positive numbers'),
        (dict(sigmas=(3.0, 2.0, 1.0)), r'codec.sigma=2.0: expected head.sigmas\[0\]=3.0'),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(InputError, match=message):
        make_head(**kwargs)


def test_inputs_that_do_not_fit():
    with pytest.raises(InputError, match='head.sigmas: number=4: expected 3, one for each level'):
        make_head()(make_levels()[1:])
    with pytest.raises(
        InputError, match=r'heatmap_size=\(24, 16\): expected \(12, 8\), as the network'
    ):
        make_head(sigmas=SIGMAS[:3]).loss(make_levels()[:3], make_batch())
    with pytest.raises(InputError, match=r'model.head.num_keypoints=5: expected 4, as in the data'):
        make_head(num_keypoints=5).loss(make_levels(), make_batch())
    with pytest.raises(InputError, match='topk=8: expected at most 4'):
        make_head(fine_loss=None).loss(make_levels(), make_batch())


def test_heatmaps_of_another_size_are_not_decoded():
    head = make_head().eval()
    with pytest.raises(
        InputError, match=r'heatmap_size=\(24, 16\): expected \(20, 14\), as the network'
    ):
        head.predict(make_levels([(2, 3), (4, 5), (7, 10), (14, 20)]), make_batch())
