"""Published hourglasses' configs: keypoints by the publication's arithmetic, targets, training."""

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmpose.registry import DATASETS, MODELS
from tiny_run import REPOSITORY, TRAIN, run, write_mpii
from torch import nn

CONFIGS = REPOSITORY / 'configs'
PAIRS = ((0, 5), (1, 4), (2, 3), (10, 15), (11, 14), (12, 13))  # MPII's left and right
FINETUNE = 'msspose/msspose_hourglass8_mpii_finetune'


class Replay(nn.Module):
    """A backbone that gives prepared heatmaps, one [B, K, H, W] after the other."""

    def __init__(self, *heatmaps):
        super().__init__()
        self.heatmaps = list(heatmaps)

    def forward(self, images):
        heatmaps = torch.from_numpy(self.heatmaps.pop(0))
        assert len(heatmaps) == len(images)
        return ((heatmaps,),)


@pytest.fixture(scope='module')
def mpii(tmp_path_factory):
    """Return a folder with MPII-like persons whose boxes have different places and sizes."""
    folder = write_mpii(tmp_path_factory.mktemp('mpii'), train=2, val=6)
    path = folder / 'annotations/mpii_val.json'
    persons = json.loads(path.read_text())
    rng = np.random.default_rng(0)
    for person in persons:
        person.update(
            center=rng.uniform(20, 80, 2).round(1).tolist(), scale=round(rng.uniform(0.2, 4), 6)
        )
    path.write_text(json.dumps(persons))
    return folder, persons


def dataset(cfg, folder, split):
    options = dict(cfg[f'{split}_dataloader'].dataset, data_root=str(folder))
    if 'headbox_file' in options:
        options['headbox_file'] = str(folder / 'annotations/mpii_gt_val.mat')
    return DATASETS.build(options)


def random_heatmaps(count, seed):
    """Noise, rounded noise (ties), nothing positive, peaks in every corner and at borders."""
    rng = np.random.default_rng(seed)
    heatmaps = rng.normal(0, 1, (count, 16, 64, 64)).astype(np.float32)
    heatmaps[:, 8:] = heatmaps[:, 8:].round()
    heatmaps[0, 9] = 0
    heatmaps[1, 9] = -1
    heatmaps[2, 9] = 1
    for k, (y, x) in enumerate(
        [(0, 0), (0, 63), (63, 0), (63, 63), (0, 20), (63, 20), (20, 0), (20, 63), (1, 1), (62, 62)]
    ):
        heatmaps[3 + k % 2, k, y, x] = 9
    return heatmaps


def published_keypoint(heatmap, person):
    """bearpaw's ``final_preds`` and ``transform_preds``, without the cut to whole pixels.

    From one heatmap and the annotation's own 1-based numbers to 0-based pixels of the image.
    """
    best, px, py = 0.0, 0, 0
    for y, row in enumerate(heatmap.tolist()):
        for x, value in enumerate(row):
            if value > best:
                best, px, py = value, x + 1, y + 1
    place = [float(px), float(py)]
    if 1 < px < 64 and 1 < py < 64:
        at = [
            (heatmap[py - 1, px], heatmap[py - 1, px - 2]),
            (heatmap[py, px - 1], heatmap[py - 2, px - 1]),
        ]
        place = [
            p + 0.25 * (int(after > before) - int(after < before))
            for p, (after, before) in zip(place, at)
        ]
    side = 200 * 1.25 * person['scale']
    centre = np.array(person['center']) - 1 + [0, 15 * person['scale']]
    # 64 cells cover the box
    return [(p + 0.5 - 1) * side / 64 - side / 2 + c for p, c in zip(place, centre)], best


@pytest.mark.parametrize('name', ['hourglass1_mpii_bearpaw', 'hourglass2_mpii_princeton'])
@pytest.mark.parametrize('flip', [False, True])
def test_keypoints_are_those_of_the_published_arithmetic(mpii, name, flip):
    folder, persons = mpii
    cfg = Config.fromfile(CONFIGS / f'hourglass/{name}.py')
    cfg.model.backbone.update(num_stacks=1, channels=8)
    cfg.model.test_cfg.flip_test = flip
    model = MODELS.build(cfg.model).eval()
    plain, mirrored = (random_heatmaps(len(persons), seed) for seed in (0, 1))
    heatmaps = plain
    if flip:
        back = mirrored[..., ::-1].copy()
        for a, b in PAIRS:
            back[:, [a, b]] = back[:, [b, a]]
        heatmaps = (plain + back) / 2  # no shift
    model.backbone = Replay(plain, mirrored)
    batch = pseudo_collate([dataset(cfg, folder, 'val')[i] for i in range(len(persons))])
    with torch.no_grad():
        results = model.test_step(batch)
    for sample, maps, person in zip(results, heatmaps, persons, strict=True):
        expected = [published_keypoint(m, person) for m in maps]
        found = sample.pred_instances
        assert np.abs(found.keypoints[0] - [place for place, _ in expected]).max() < 0.01
        assert np.allclose(found.keypoint_scores[0], maps.max((1, 2)))


@pytest.mark.parametrize('name', ['hourglass/hourglass1_mpii_bearpaw', FINETUNE])
def test_targets_peak_in_the_cell_that_holds_the_joint(mpii, name):
    folder, _ = mpii
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    pipelines = [cfg.train_dataloader.dataset.pipeline]
    pipelines += [
        stage.pipeline
        for stage in (cfg.default_hooks.get('stages') or {}).get('stages', [])
        if stage.get('pipeline')
    ]
    assert len(pipelines) == (2 if name == FINETUNE else 1)
    for pipeline in pipelines:
        cfg.train_dataloader.dataset.pipeline = pipeline[:-1]  # before it is packed
        for sample in dataset(cfg, folder, 'train'):
            joints = sample['transformed_keypoints'][0]
            cells = np.floor(joints / 4)  # cell i is input pixels 4 i to 4 i + 3
            inside = ((cells >= 0) & (cells < 64)).all(-1)
            assert inside.any()
            for heatmap, (x, y) in zip(sample['heatmaps'][inside], cells[inside]):
                assert divmod(int(heatmap.argmax()), 64) == (y, x)


@pytest.mark.parametrize(
    'name', ['hourglass/hourglass1_mpii_bearpaw', 'hourglass/hourglass2_mpii_princeton']
)
def test_training_runs(mpii, tmp_path, name):
    done = run(
        [
            TRAIN,
            CONFIGS / f'{name}.py',
            '--work-dir',
            'run',
            '--cfg-options',
            f'train_dataloader.dataset.data_root={mpii[0]}',
            f'val_dataloader.dataset.data_root={mpii[0]}',
            f'val_dataloader.dataset.headbox_file={mpii[0]}/annotations/mpii_gt_val.mat',
            'train_dataloader.batch_size=1',
            'train_dataloader.num_workers=0',
            'train_dataloader.persistent_workers=False',
            'val_dataloader.num_workers=0',
            'val_dataloader.persistent_workers=False',
            'model.backbone.channels=16',
            'model.backbone.stem_channels=None',
            'train_cfg.max_epochs=1',
        ],
        tmp_path,
    )
    assert done.status == 0, done.err
    assert (tmp_path / 'run/epoch_1.pth').is_file()


@pytest.mark.parametrize('stacks', [1, 2])
def test_the_stem_of_each_publication(stacks):
    cfg = Config.fromfile(CONFIGS / f'hourglass/hourglass{stacks}_mpii_bearpaw.py').model
    assert cfg.backbone.num_stacks == stacks and cfg.backbone.levels == (1,)
    assert cfg.backbone.stem_channels == (64, 128, 256)
    assert cfg.test_cfg.shift_heatmap is False


def test_fine_tuning_keeps_what_the_weights_were_trained_with():
    published, tuned = (
        Config.fromfile(CONFIGS / f'{name}.py')
        for name in ('hourglass/hourglass8_mpii_bearpaw', FINETUNE)
    )
    for part in ('data_preprocessor', 'test_cfg'):
        assert tuned.model[part] == published.model[part]
    assert tuned.model.head.decoder == published.model.head.decoder == published.codec
    whole = Config.fromfile(CONFIGS / 'msspose_hourglass8_mpii.py')
    assert tuned.model.backbone.levels == whole.model.backbone.levels
    assert tuned.train_cfg == whole.train_cfg and tuned.model.head.type == whole.model.head.type
    assert tuned.optim_wrapper.optimizer == dict(type='Adam', lr=5e-4)
    factors = [stage.get('lr_factor', 1) for stage in tuned.default_hooks.stages.stages]
    assert factors == [0.2, 1, 0.2]  # the published weights, the new MSR-net, both
