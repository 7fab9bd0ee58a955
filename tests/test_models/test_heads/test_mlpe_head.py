"""MLPEHead's outputs, its multi-level targets and losses, and what it refuses."""
import numpy as np
import pytest
import torch
from mmpose.codecs import MSRAHeatmap
from mmpose.registry import MODELS
from samples import FLIP, make_sample
from torch import nn

from mspose_plugin.errors import InputError
from mspose_plugin.models.heads import MLPEHead

K = 4
SIGMAS = (2., 1.5, 1.2, 1.)
CODEC = dict(type='MSRAHeatmap', input_size=(96, 64), heatmap_size=(24, 16), sigma=2.)
KEYPOINTS = [(5, 60), (90, 3), (40, 31.5), (20, 8)]
SIZES = [(2, 3), (4, 6), (8, 12), (16, 24)]


def make_head(**kwargs):
    """Return a small head for four keypoints."""
    torch.manual_seed(0)
    kwargs = {**dict(num_keypoints=K, channels=8, sigmas=SIGMAS, decoder=CODEC,
                     fine_loss=dict(type='HardKeypointMSELoss', topk=2)), **kwargs}
    head = MLPEHead(**kwargs)
    head.init_weights()
    return head


def make_levels(sizes=SIZES, batch=2):
    """Return the neck's levels, coarse to fine."""
    torch.manual_seed(1)
    return [torch.randn(batch, 8, *size) for size in sizes]


def make_batch():
    """Return two samples; keypoint 1 of the first is unlabelled, 2 of the second occluded."""
    batch = [make_sample(visible=[1, 0, 1, 1], codec=CODEC),
             make_sample(keypoints=KEYPOINTS, visible=[1, 1, 1, 1], codec=CODEC)]
    for sample, visible in zip(batch, ([[1., 0., 1., 1.]], [[1., 1., 0., 1.]])):
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
        3, 2, 1, 0]
    assert [sum(type(m).__name__ == 'Bottleneck' for m in b) for b in head.branches] == [3, 2, 1, 0]


def test_levels_that_are_not_exact_doubles():
    outputs = make_head()(make_levels([(2, 3), (4, 5), (7, 10), (13, 19)]))
    assert [tuple(o.shape) for o in outputs] == [(2, K, 13, 19)] * 5


def test_cut_levels_start_where_the_others_do():
    """Every output of a cut pyramid is the beginning of the whole one's."""
    head = make_head().eval()
    whole = make_levels()
    cut = [*whole[:3], whole[3][:, :, :15, :23]]
    for a, b in zip(head(cut)[:4], head(whole)[:3]):
        assert torch.allclose(a, b[:, :, :15, :23], atol=1e-6)


def test_loaded_weights_stay(tmp_path):
    state = make_head().state_dict()
    state = {k: torch.full_like(v, 2) for k, v in state.items()}
    torch.save(dict(state_dict=state), tmp_path / 'head.pth')
    head = MODELS.build(dict(
        type='MLPEHead', num_keypoints=K, channels=8, sigmas=SIGMAS, decoder=CODEC,
        init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'head.pth'), strict=True)))
    head.init_weights()
    assert all((v == 2).all() for v in head.state_dict().values())


def test_targets_are_what_mmpose_draws_with_each_sigma():
    """One target crosses over; every narrower Gaussian must be MMPose's, but for its cut tails."""
    head = make_head(sigmas=(2., 5 / 3, 4 / 3, 1.))
    head.loss_module = head.fine_loss_module = recorder = Recorder()
    head.loss(make_levels(), make_batch())
    assert len(recorder.targets) == 5
    for target, sigma in zip(recorder.targets, (*head.sigmas, head.sigmas[-1])):
        want = MSRAHeatmap((96, 64), (24, 16), sigma).encode(
            np.array([KEYPOINTS], np.float32), np.ones((1, K), np.float32))['heatmaps']
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
    weights = torch.tensor([[1., 0, 1, 1], [1, 1, 1, 1]])
    for name, heatmaps, sigma in zip(losses, maps, SIGMAS):
        target = drawn**((2 / sigma)**2)
        want = (weights[..., None, None] * (heatmaps - target)**2).mean()
        assert losses[name].item() == pytest.approx(want.item(), rel=1e-5)
    errors = ((fine - target)**2).mean((2, 3)) * weights
    want = sum(sum(sorted(row.tolist())[-2:]) for row in errors) / 4
    assert losses['loss_fine'].item() == pytest.approx(want, rel=1e-5)


@pytest.mark.parametrize('levels', [True, False])
@pytest.mark.parametrize('fine', [True, False])
def test_occluded_keypoints_count_where_asked(levels, fine):
    head = make_head(occluded_in_levels=levels, occluded_in_fine=fine)
    head.loss_module, head.fine_loss_module = Recorder(), Recorder()
    head.loss(make_levels(), make_batch())
    for recorder, counts in ((head.loss_module, levels), (head.fine_loss_module, fine)):
        assert all(w == [[1, 0, 1, 1], [1, 1, float(counts), 1]] for w in recorder.weights)


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


@pytest.mark.parametrize('kwargs, message', [
    (dict(prediction_kernel=2), 'prediction_kernel=2: expected an odd number'),
    (dict(sigmas=(1., 2., 3., 4.)), 'none larger than the one before'),
    (dict(sigmas=(2., 1., 0.)), 'expected positive numbers'),
    (dict(sigmas=(3., 2., 1.)), r'the codec draws sigma=2.0, expected .* sigmas\[0\]=3.0'),
])
def test_bad_arguments(kwargs, message):
    with pytest.raises(InputError, match=message):
        make_head(**kwargs)


def test_inputs_that_do_not_fit():
    with pytest.raises(InputError, match='3 levels, but sigmas for 4'):
        make_head()(make_levels()[1:])
    with pytest.raises(InputError, match=r'targets of 24x16, the network predicts 12x8'):
        make_head(sigmas=SIGMAS[:3]).loss(make_levels()[:3], make_batch())
    with pytest.raises(InputError, match=r'set model.head.num_keypoints=4'):
        make_head(num_keypoints=5).loss(make_levels(), make_batch())
    with pytest.raises(InputError, match='topk=8, but there are 4 keypoints'):
        make_head(fine_loss=None).loss(make_levels(), make_batch())


def test_heatmaps_of_another_size_are_not_decoded():
    head = make_head().eval()
    with pytest.raises(InputError, match=r'heatmap_size is \(24, 16\), the network predicts 20x14'):
        head.predict(make_levels([(2, 3), (4, 5), (7, 10), (14, 20)]), make_batch())
