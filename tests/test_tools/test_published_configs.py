"""The published configs, shrunk, from synthetic data in each set's format to a prediction."""

import json

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmpose.apis import MMPoseInferencer, inference_topdown, init_model
from tiny_run import REPOSITORY, TEST, TRAIN, run

from mspose_plugin.checkpoint.loading import load_checkpoint_file
from mspose_plugin.synthetic import Recipe, write_dataset

KEYS = dict(mpii='PCKh', flic='PCK', coco='coco/AP')
FOLDERS = dict(mpii='', flic='msspose/', coco='msspose/')
KEYPOINTS = dict(mpii=16, flic=11, coco=17)
SHRUNK = '''
_base_ = '{repository}/configs/{folder}msspose_hourglass8_{layout}.py'

model = dict(
    backbone=dict(num_stacks=1, channels=8),
    head=dict(channels=8, context_channels=8))
train_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)
train_cfg = dict(max_epochs=3)
for _stage in _base_.default_hooks.stages.stages:
    _stage.epochs = 1
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(max_keep_ckpts=3))
'''


@pytest.fixture(scope='module', params=sorted(KEYS))
def trained(request, tmp_path_factory):
    """Return the layout and a folder in which its config has been trained."""
    layout = request.param
    folder = tmp_path_factory.mktemp(layout)
    write_dataset(
        Recipe(layout=layout, train=4, val=3, seed=1), folder / f'data/{layout}', workers=1
    )
    config = folder / 'shrunk.py'
    config.write_text(SHRUNK.format(repository=REPOSITORY, folder=FOLDERS[layout], layout=layout))
    done = run([TRAIN, config, '--work-dir', folder / 'run'], folder)
    assert done.status == 0, done.err
    return layout, folder, done.out + done.err


def test_all_three_stages_train_and_are_evaluated(trained):
    layout, folder, log = trained
    assert (folder / 'run/last_checkpoint').read_text().endswith('epoch_3.pth')
    scalars = [
        json.loads(line)
        for line in next((folder / 'run').glob('*/vis_data/scalars.json')).read_text().splitlines()
    ]
    training = [line for line in scalars if 'loss' in line]
    # the regression network has no loss in the first stage
    assert ['loss_msr_64x64' in line for line in training] == [
        line['epoch'] > 1 for line in training
    ]
    assert len([line for line in scalars if KEYS[layout] in line]) == 3


def test_test_py_gives_the_metric(trained):
    layout, folder, _ = trained
    done = run([TEST, folder / 'shrunk.py', folder / 'run/epoch_3.pth', '--out', 'm.json'], folder)
    assert done.status == 0, done.err
    assert KEYS[layout] in json.loads((folder / 'm.json').read_text())


@pytest.mark.parametrize(
    'option',
    [
        'model.test_cfg.multi_scale=True',
        'model.test_cfg.conditional.thresholds=1.',
    ],
)
def test_other_ways_of_testing_by_option(trained, option):
    layout, folder, _ = trained
    done = run(
        [
            TEST,
            folder / 'shrunk.py',
            folder / 'run/epoch_3.pth',
            '--out',
            'n.json',
            '--cfg-options',
            option,
            'model.test_cfg.conditional.max_trials=1'
            if 'conditional' in option
            else 'model.test_cfg.flip_test=False',
        ],
        folder,
    )
    assert done.status == 0, done.err
    assert KEYS[layout] in json.loads((folder / 'n.json').read_text())


@pytest.fixture(scope='module')
def images(trained):
    """Return the paths of some of the images."""
    _, folder, _ = trained
    return sorted((folder / 'data').rglob('*.jpg'))[:2]


def test_init_model_and_inference_topdown(trained, images):
    layout, folder, _ = trained
    model = init_model(str(folder / 'shrunk.py'), str(folder / 'run/epoch_3.pth'), device='cpu')
    (from_file,) = inference_topdown(model, str(images[0]))
    (from_array,) = inference_topdown(model, cv2.imread(str(images[0])))
    assert from_file.pred_instances.keypoints.shape == (1, KEYPOINTS[layout], 2)
    assert np.array_equal(from_file.pred_instances.keypoints, from_array.pred_instances.keypoints)


def test_mmpose_inferencer_on_files_arrays_and_folders(trained, images, tmp_path):
    layout, folder, _ = trained
    inferencer = MMPoseInferencer(
        pose2d=str(folder / 'shrunk.py'),
        pose2d_weights=str(folder / 'run/epoch_3.pth'),
        det_model='whole_image',
        device='cpu',
    )
    files = [p['predictions'][0][0]['keypoints'] for p in inferencer([str(i) for i in images])]
    arrays = [
        p['predictions'][0][0]['keypoints']
        for p in inferencer([cv2.imread(str(i)) for i in images])
    ]
    assert np.shape(files) == (2, KEYPOINTS[layout], 2)
    assert files == arrays
    inputs = tmp_path / 'inputs'
    inputs.mkdir()
    for image in images:
        (inputs / image.name).write_bytes(image.read_bytes())
    results = list(inferencer(str(inputs), out_dir=str(tmp_path / 'out')))
    assert [r['predictions'][0][0]['keypoints'] for r in results] == files
    drawn = sorted((tmp_path / 'out/visualizations').iterdir())
    assert [d.name for d in drawn] == [i.name for i in images]
    assert not np.array_equal(cv2.imread(str(drawn[0])), cv2.imread(str(images[0])))


# ------------------------------------------------- a checkpoint of the first stage knows its stage


@pytest.fixture(scope='module')
def first_stage(trained):
    """Return the config, the first stage's checkpoint and a config that says what it is."""
    _, folder, _ = trained
    told = folder / 'first_stage.py'
    told.write_text("_base_ = './shrunk.py'\nmodel = dict(head=dict(refine=False))\n")
    return folder / 'shrunk.py', folder / 'run/epoch_1.pth', told


def test_the_first_stage_is_tested_as_it_was_trained(trained, first_stage):
    layout, folder, _ = trained
    config, checkpoint, told = first_stage
    figures = []
    for cfg in (config, told):
        done = run([TEST, cfg, checkpoint, '--out', 'stage.json'], folder)
        assert done.status == 0, done.err
        figures.append(json.loads((folder / 'stage.json').read_text()))
    assert figures[0] == figures[1]


def test_the_first_stage_predicts_as_it_was_trained(first_stage, images):
    config, checkpoint, told = first_stage
    found = []
    for cfg in (config, told):
        model = init_model(str(cfg), str(checkpoint), device='cpu')
        assert model.head.refine is False
        (sample,) = inference_topdown(model, str(images[0]))
        found.append(sample.pred_instances.keypoints)
    assert np.array_equal(*found)


def test_the_inferencer_sees_the_first_stage(first_stage):
    config, checkpoint, _ = first_stage
    inferencer = MMPoseInferencer(
        pose2d=str(config), pose2d_weights=str(checkpoint), det_model='whole_image', device='cpu'
    )
    assert inferencer.inferencer.model.head.refine is False


def test_calibration_sees_the_first_stage(trained, first_stage):
    _, folder, _ = trained
    config, checkpoint, _ = first_stage
    done = run([REPOSITORY / 'tools/calibrate_thresholds.py', config, checkpoint], folder)
    assert 'head.refine=False, as these weights were trained' in done.out, done.err


def test_a_resumed_run_goes_on_to_the_next_stage(trained, first_stage, tmp_path):
    config, checkpoint, _ = first_stage
    work = tmp_path / 'run'
    done = run([TRAIN, config, '--work-dir', work, '--resume', checkpoint], trained[1])
    assert done.status == 0, done.err
    assert "Stage 2/3 'msr'" in done.out and 'loss_msr_64x64' in done.out
    resumed, whole = (
        load_checkpoint_file(folder / 'epoch_2.pth')['state_dict']
        for folder in (work, checkpoint.parent)
    )
    assert resumed['head._extra_state'] and whole['head._extra_state']
    assert not load_checkpoint_file(checkpoint)['state_dict']['head._extra_state']


def test_the_config_says_where_the_inferencer_looks(trained):
    layout, folder, _ = trained
    cfg = Config.fromfile(folder / 'shrunk.py')
    assert cfg.data_mode == 'topdown'
    assert cfg.dataset_type == cfg.test_dataloader.dataset.type
