"""Loss, flip testing and decoding of MSSHead, on samples from MMPose's own pipeline."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from head_samples import CODEC, FLIP, make_sample
from mmengine.config import Config
from mmpose.evaluation.functional import pose_pck_accuracy
from mmpose.registry import MODELS

from mspose_plugin.models.heads import MSSHead, heatmap_accuracy
from mspose_plugin.utils.errors import InputError

K = 4
SIZES = [(2, 3), (4, 6), (8, 12), (16, 24)]


def make_heatmaps(stacks=2, batch=2, sizes=SIZES, keypoints=K):
    """Return random heatmaps as the backbone gives them."""
    return tuple(
        tuple(torch.rand(batch, keypoints, *size) for size in sizes) for _ in range(stacks)
    )


def make_batch():
    """Return two samples, of which each has an unlabelled keypoint."""
    return [
        make_sample(visible=[1, 0, 1, 1]),
        make_sample(keypoints=[(5, 60), (90, 3), (40, 31.5), (20, 8)], visible=[1, 1, 1, 0]),
    ]


def downsample(heatmap, size, how):
    """Down-sample one heatmap, block by block."""
    factor = heatmap.shape[0] // size[0]
    middle = slice((factor - 1) // 2, factor // 2 + 1)  # between the two middle pixels
    result = np.zeros(size)
    for y in range(size[0]):
        for x in range(size[1]):
            block = heatmap[y * factor : (y + 1) * factor, x * factor : (x + 1) * factor]
            result[y, x] = dict(
                max=block.max(), average=block.mean(), bilinear=block[middle, middle].mean()
            )[how]
    return result


@pytest.mark.parametrize('how', ['max', 'average', 'bilinear'])
def test_loss_of_each_level_against_the_sums_written_out(how):
    """Eq. 1: pixels are summed; the mean is over keypoints and samples."""
    outputs, samples = make_heatmaps(), make_batch()
    losses = MSSHead(downsample=how).loss(outputs, samples)
    assert list(losses) == ['loss_2x3', 'loss_4x6', 'loss_8x12', 'loss_16x24', 'acc_pose']
    for level, size in enumerate(SIZES):
        want = 0.0
        for b, sample in enumerate(samples):
            for k in range(K):
                target = downsample(sample.gt_fields.heatmaps[k].numpy(), size, how)
                weight = sample.gt_instance_labels.keypoint_weights[0, k].item()
                for stack in outputs:
                    want += weight * np.square(stack[level][b, k].numpy() - target).sum()
        got = losses[f'loss_{size[0]}x{size[1]}'].item()
        assert got == pytest.approx(want / (2 * K), rel=1e-5)


def test_peaks_stay_one_where_max_pooling_is_the_default():
    """A perfect prediction of a pooled target with peak 1 has loss 0 at every level."""
    sample = make_sample(keypoints=[(4 * x, 4 * y) for x, y in [(3, 3), (8, 5), (16, 9), (22, 1)]])
    target = sample.gt_fields.heatmaps[None]
    pooled = [torch.nn.functional.max_pool2d(target, 16 // h) for h, _ in SIZES]
    assert all((p.flatten(2).amax(-1) == 1).all() for p in pooled)
    losses = MSSHead().loss([pooled], [sample])
    assert all(v == 0 for name, v in losses.items() if name.startswith('loss'))
    assert losses['acc_pose'] == 1


def test_sum_over_stacks():
    outputs, samples = make_heatmaps(stacks=3), make_batch()
    head = MSSHead(
        loss=dict(type='StructureAwareLoss', groups=[(0, 2), (1, 2), (2, 3), (3,)], alpha=0.4)
    )
    together = head.loss(outputs, samples)
    single = [head.loss([stack], samples) for stack in outputs]
    for name, value in together.items():
        if name.startswith('loss'):
            torch.testing.assert_close(value, sum(s[name] for s in single))
    assert together['acc_pose'] == single[-1]['acc_pose']


@pytest.mark.parametrize(
    'options', [{}, dict(alpha=0.5, norm='l2'), dict(alpha=0.5, combine='max')]
)
def test_unlabelled_joints_have_no_influence(options):
    groups = [(0, 1, 2), (1, 0), (2, 3, 0), (3, 2)]
    head = MSSHead(loss=dict(type='StructureAwareLoss', groups=groups, **options))
    unlabelled = torch.tensor([[0, 1, 0, 0], [0, 0, 0, 1]], dtype=torch.bool)
    results = []
    for changed in (False, True):
        torch.manual_seed(1)
        outputs, samples = make_heatmaps(), make_batch()
        for sample, missing in zip(samples, unlabelled):
            labels = sample.gt_instance_labels.keypoint_weights
            assert torch.equal(labels[0] == 0, missing)
            if changed:
                sample.gt_fields.heatmaps[missing] = 7.0
        maps = [h for stack in outputs for h in stack]
        for h in maps:
            if changed:
                h[unlabelled] = -3.0
            h.requires_grad_()
        losses = head.loss(outputs, samples)
        sum(v for name, v in losses.items() if name.startswith('loss')).backward()
        assert all(h.grad[unlabelled].abs().max() == 0 for h in maps)
        results.append([*losses.values(), *(h.grad for h in maps)])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(b, a)


def test_targets_are_not_changed():
    samples = make_batch()
    before = [s.gt_fields.heatmaps.clone() for s in samples]
    MSSHead().loss(make_heatmaps(), samples)
    assert all(torch.equal(a, s.gt_fields.heatmaps) for a, s in zip(before, samples))


def test_accuracy_can_be_left_out():
    assert 'acc_pose' not in MSSHead().loss(make_heatmaps(), make_batch(), dict(compute_acc=False))


def test_accuracy_is_mmpose_s():
    rng = np.random.default_rng(2)
    for _ in range(20):
        output, target = rng.random((2, 6, 5, 32, 32))
        for b, k in rng.integers(0, (6, 5), (25, 2)):  # many that agree, some nearly
            peak = target[b, k].argmax() + rng.integers(-2, 3)
            output[b, k].flat[np.clip(peak, 0, 1023)] = 2
        mask = rng.random((6, 5)) < 0.7
        mask[:, 1] = False  # a joint that nobody has
        _, want, _ = pose_pck_accuracy(output, target, mask)
        got = heatmap_accuracy(*map(torch.from_numpy, (output, target, mask.astype(np.float32))))
        assert got.item() == pytest.approx(want, abs=1e-6)


def test_accuracy_measures_in_width_and_height():
    """MMPose divides x by the height; here a tenth of the width is a tenth of the width."""
    target, output = torch.zeros(2, 1, 1, 20, 80)
    target[..., 10, 40] = output[..., 10, 43] = 1
    assert heatmap_accuracy(output, target, torch.ones(1, 1)) == 1  # 3 / 80 < 0.05
    assert heatmap_accuracy(output.mT, target.mT, torch.ones(1, 1)) == 1
    output = torch.zeros(1, 1, 20, 80)
    output[..., 11, 40] = 1
    assert heatmap_accuracy(output, target, torch.ones(1, 1), thr=0.05) == 0  # not 1 / 20 < 0.05


def test_accuracy_without_any_label():
    maps = torch.rand(2, 3, 4, 4)
    assert heatmap_accuracy(maps, maps, torch.zeros(2, 3)) == 0
    assert heatmap_accuracy(maps, torch.zeros_like(maps), torch.ones(2, 3)) == 0


def gaussians(centers, size=SIZES[-1]):
    """Return heatmaps [1, K, h, w] with the peaks at sub-pixel centres (x, y)."""
    centers = torch.tensor(centers, dtype=torch.float32)
    x, y = torch.arange(size[1]), torch.arange(size[0])
    dx, dy = (x - centers[:, :1]).square(), (y - centers[:, 1:]).square()
    return torch.exp(-(dy[:, :, None] + dx[:, None]) / 2)[None]


def test_decoding_of_known_gaussians():
    """MSRAHeatmap: whole pixels exactly, others a quarter towards the higher neighbour."""
    maps = gaussians([(3, 5), (20, 8), (7.3, 4.4), (12.8, 10.6)])
    coarse = [torch.rand(1, K, *size) for size in SIZES[:-1]]
    head, samples = MSSHead(decoder=CODEC), [make_sample()]
    worse = [torch.rand(1, K, *size) for size in SIZES]
    (pred,) = head.predict((worse, [*coarse, maps]), samples)
    want = 4 * np.array([(3, 5), (20, 8), (7.25, 4.25), (12.75, 10.75)])
    np.testing.assert_allclose(pred.keypoints[0], want, atol=1e-5)
    np.testing.assert_allclose(pred.keypoint_scores[0], maps.flatten(2).amax(-1)[0], atol=1e-6)


def test_targets_decode_to_the_keypoints():
    """What the codec encodes, the head decodes, to within half a heatmap pixel."""
    samples = make_batch()
    target = torch.stack([s.gt_fields.heatmaps for s in samples])
    preds = MSSHead(decoder=CODEC).predict([[target]], samples)
    for pred, sample in zip(preds, samples, strict=True):
        labelled = sample.gt_instance_labels.keypoint_weights[0].numpy() > 0
        error = pred.keypoints[0] - sample.gt_instances.keypoints[0]
        assert np.abs(error[labelled]).max() <= 2.001


def test_flip_testing_averages_with_the_mirror_image():
    plain, mirrored = make_heatmaps(), make_heatmaps()
    head, samples = MSSHead(decoder=CODEC), make_batch()
    test_cfg = dict(flip_test=True, flip_mode='heatmap', output_heatmaps=True)
    preds, fields = head.predict([plain, mirrored], samples, test_cfg)
    want = (plain[-1][-1] + mirrored[-1][-1][:, FLIP].flip(-1)) / 2
    for i, field in enumerate(fields):
        torch.testing.assert_close(field.heatmaps, want[i])
        assert preds[i].keypoints.shape == (1, K, 2)
    # a network that treats left and right alike predicts as without
    mirrored = tuple(tuple(h[:, FLIP].flip(-1) for h in stack) for stack in plain)
    with_flip = head.predict([plain, mirrored], samples, test_cfg)[0]
    for a, b in zip(head.predict(plain, samples), with_flip, strict=True):
        np.testing.assert_allclose(a.keypoints, b.keypoints, atol=1e-4)


def test_flip_testing_needs_the_shift():
    """Targets of a person and of its mirror image, averaged: nearer to the truth when shifted."""
    head = MSSHead(decoder=CODEC)
    errors = {}
    for shift in (True, False):
        found = []
        for x in np.arange(20, 70, 1.0):
            plain = make_sample([(x, 30)] * K)
            mirrored = make_sample([(95 - x, 30)] * K)
            feats = [((s.gt_fields.heatmaps[None],),) for s in (plain, mirrored)]
            preds = head.predict(feats, [plain], dict(flip_test=True, shift_heatmap=shift))
            found.append(preds[0].keypoints[0, 0, 0] - x)
        errors[shift] = np.abs(found).mean()
    assert errors[True] < 0.8 * errors[False]
    assert errors[True] < 1.2  # input pixels; a cell has 4


def test_half_precision_is_decoded():
    maps = gaussians([(3, 5), (20, 8), (7, 4), (12, 10)]).bfloat16()
    (pred,) = MSSHead(decoder=CODEC).predict([[maps]], [make_sample()])
    np.testing.assert_allclose(pred.keypoints[0][0], (12, 20), atol=1e-5)


@pytest.mark.parametrize('keypoints, flip_test', [(3, False), (3, True), (5, False)])
def test_wrong_number_of_keypoints_when_predicting(keypoints, flip_test):
    outputs = make_heatmaps(keypoints=keypoints)
    feats = [outputs, outputs] if flip_test else outputs
    with pytest.raises(
        InputError,
        match=f'model.backbone.num_keypoints={keypoints}: expected 4, as in the data',
    ):
        MSSHead(decoder=CODEC).predict(feats, make_batch(), dict(flip_test=flip_test))


def test_wrong_number_or_size_when_training():
    with pytest.raises(InputError, match='num_keypoints=5: expected 4'):
        MSSHead().loss(make_heatmaps(keypoints=5), make_batch())
    with pytest.raises(
        InputError, match=r'heatmap_size=\(24, 16\): expected \(12, 8\), as the network'
    ):
        MSSHead().loss(make_heatmaps(sizes=SIZES[:-1]), make_batch())


def test_unknown_downsample():
    with pytest.raises(InputError, match="downsample='min'.*average.*bilinear.*max"):
        MSSHead(downsample='min')


@pytest.fixture(params=['msspose_hourglass8_mpii.py', 'ablation/hourglass8_mpii_mss.py'])
def config(request, repository):
    """Return a published config with a small network, on small images."""
    cfg = Config.fromfile(repository / 'configs' / request.param)
    assert cfg.model.backbone.num_stacks == 8
    cfg.model.backbone.update(num_stacks=2, channels=16)
    if cfg.model.head.type == 'MSRHead':
        cfg.model.head.update(channels=16, context_channels=16)
    cfg.model.head.decoder.update(input_size=(128, 64), heatmap_size=(32, 16))
    return cfg


def mpii_batch(config):
    """Return images and samples with the sixteen joints of MPII."""
    flip = [5, 4, 3, 2, 1, 0, 6, 7, 8, 9, 15, 14, 13, 12, 11, 10]
    codec = config.model.head.decoder.to_dict()
    samples = [make_sample(codec=codec, flip_indices=flip) for _ in range(2)]
    return dict(
        inputs=[torch.randint(0, 256, (3, 64, 128), dtype=torch.uint8) for _ in samples],
        data_samples=samples,
    )


def test_estimator_from_the_config_learns(config):
    model = MODELS.build(config.model)
    batch = mpii_batch(config)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    totals = []
    for _ in range(20):
        data = model.data_preprocessor(batch, training=True)
        losses = model(**data, mode='loss')
        loss, log = model.parse_losses(losses)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        totals.append(loss.item())
    names = ['loss'] if config.model.head.type == 'MSSHead' else ['loss', 'loss_msr']
    assert set(log) == {'loss', 'acc_pose'} | {
        f'{name}_{size}' for name in names for size in ('2x4', '4x8', '8x16', '16x32')
    }
    levels = sum(v.item() for name, v in log.items() if name.startswith('loss_'))
    assert log['loss'].item() == pytest.approx(levels)
    assert totals[-1] < 0.95 * totals[0]


def test_estimator_from_the_config_predicts(config):
    model = MODELS.build(config.model).eval()
    batch = mpii_batch(config)
    with torch.no_grad():
        flipped = model.test_step(batch)
        model.test_cfg = dict(flip_test=False, output_heatmaps=True)
        plain = model.test_step(mpii_batch(config))
    for sample in (*flipped, *plain):
        assert sample.pred_instances.keypoints.shape == (1, 16, 2)
        assert np.isfinite(sample.pred_instances.keypoint_scores).all()
    assert plain[0].pred_fields.heatmaps.shape == (16, 16, 32)


def test_estimator_with_and_without_the_structural_term(config):
    models = []
    for alpha in (0.0, 0.5):
        loss = dict(type='StructureAwareLoss', skeleton='mpii', alpha=alpha)
        models.append(MODELS.build({**config.model, 'head': {**config.model.head, 'loss': loss}}))
    plain, structured = models
    structured.load_state_dict(plain.state_dict())  # the loss has nothing in a checkpoint
    data = plain.data_preprocessor(mpii_batch(config), training=True)
    losses = [model(**data, mode='loss') for model in models]
    assert isinstance(losses[0], Mapping) and list(losses[0]) == list(losses[1])
    assert all(losses[0][name] < losses[1][name] for name in losses[0] if 'loss' in name)
