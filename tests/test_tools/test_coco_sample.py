"""MLPE (our variant, which learns from random weights) on real COCO images and boxes."""

import json

import pytest
from tiny_run import REPOSITORY, TEST, TRAIN, run

CONFIG = '''
_base_ = '{repository}/configs/mlpe/mlpe_resnest50_256x192_skips.py'

data_root = '{data}/'
codec = dict(input_size=(96, 128), heatmap_size=(24, 32), sigma=2.)
model = dict(
    backbone=dict(stem_channels=8, base_channels=8, init_cfg=None),
    neck=dict(in_channels=(32, 64, 128, 256), channels=32),
    head=dict(channels=32, sigmas=(2.0, 1.8, 1.6, 1.4), decoder=codec),
    test_cfg=dict(flip_test=False))  # nothing mirrored is learnt

_crop = dict(_base_.crop, input_size=codec['input_size'])
_target = dict(type='GenerateTarget', encoder=dict(_base_.codec, **codec))
_people = dict(data_root=data_root, ann_file='test_coco.json', data_prefix=dict(img=''))
_loader = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(  # no augmentation: to be learnt by heart
    batch_size=12, **_loader, dataset=dict(
        pipeline=[*_base_.pre_transform, _crop, _target, *_base_.last_transform], **_people))
val_dataloader = dict(
    dataset=dict(pipeline=[*_base_.val_pre_transform, _crop, _base_.pack], **_people), **_loader)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'test_coco.json')
test_evaluator = dict(ann_file=data_root + 'test_coco.json')

optim_wrapper = dict(optimizer=dict(lr=1e-2))
auto_scale_lr = dict(enable=False)
param_scheduler = [dict(type='CosineAnnealingLR', T_max=100, by_epoch=True)]
train_cfg = dict(max_epochs=100, val_interval=100)
default_hooks = dict(checkpoint=dict(interval=100), logger=dict(interval=1))
randomness = dict(seed=0)
'''


@pytest.fixture(scope='module')
def sample(shared_data):
    """Return the folder with four real COCO images."""
    folder = shared_data / 'coco_sample'
    if not folder.is_dir():
        pytest.skip(f'real COCO images not at {folder}')
    return folder


@pytest.fixture(scope='module')
def base(sample, tmp_path_factory):
    """Return a folder in which the config above has been trained on the images' people."""
    folder = tmp_path_factory.mktemp('coco_sample')
    (folder / 'small.py').write_text(CONFIG.format(repository=REPOSITORY, data=sample))
    done = run([TRAIN, folder / 'small.py', '--work-dir', folder / 'run'], folder)
    assert done.status == 0, done.err
    # 14 persons, two of them without keypoints
    assert f'val_dataloader: 12 boxes of the ground truth, {sample}/test_coco.json' in done.out
    return folder


def test_training_persons_are_learnt(base):
    scalars = [
        json.loads(line)
        for line in next((base / 'run').glob('*/vis_data/scalars.json')).read_text().splitlines()
    ]
    losses = [line['loss_fine'] for line in scalars if 'loss_fine' in line]
    assert len(losses) == 100 and losses[-1] < 0.1 * losses[0]
    assert scalars[-1]['coco/AP'] > 0.85  # three seeds and two memory layouts: 0.90 to 0.99


def test_a_detectors_boxes(base, sample):
    boxes = sample / 'test_coco_det_AP_H_56.json'
    done = run(
        [
            TEST,
            base / 'small.py',
            base / 'run/epoch_100.pth',
            '--work-dir',
            base / 'test',
            '--out',
            'metrics.json',
            '--cfg-options',
            f'test_dataloader.dataset.bbox_file={boxes}',
            f'test_evaluator.outfile_prefix={base}/found',
        ],
        base,
    )
    assert done.status == 0, done.err
    assert f'test_dataloader: 118 boxes of {boxes}' in done.out
    # the boxes are not those that were learnt, and most hold nobody
    assert json.loads((base / 'metrics.json').read_text())['coco/AP .5'] > 0.7
    assert len(json.loads((base / 'found.keypoints.json').read_text())) <= 118
