"""Own joints from annotation file to predictions: the commands of docs/own-data.md, in order."""

import ast
import glob
import json
import re
import shlex
import shutil

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.registry import MODELS
from own_set import JOINTS, write_own_set
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_run import REPOSITORY, run

from mspose_plugin.datasets.inspection_rules import RULES

PAGE = (REPOSITORY / 'docs/own-data.md').read_text()
COMMANDS = [
    shlex.split(line.removeprefix('mspose '))
    for block in re.findall(r'```bash\n(.*?)```', PAGE, re.DOTALL)
    for line in block.splitlines()
]
BLOCKS = re.findall(r'```python\n(.*?)```', PAGE, re.DOTALL)
LEAF, HOOKS, BACKENDS = BLOCKS
TINY = '''
for _loader in (train_dataloader, val_dataloader):
    _loader.update(num_workers=0, persistent_workers=False)
train_cfg = dict(max_epochs=1, val_interval=1)
default_hooks = dict(logger=dict(interval=1))
'''
MSSPOSE = '''
model['backbone'].update(num_stacks=1, channels=8)
model['head'].update(channels=8, context_channels=8)
'''
MLPE = '''
model['backbone'] = dict(stem_channels=8, base_channels=8, init_cfg=None)
model['neck'] = dict(in_channels=(32, 64, 128, 256), channels=8)
model['head'].update(channels=8)
'''
MSPOSE = REPOSITORY / 'mspose_command.py'


def mspose(command, folder):
    """Run a command as a shell would: patterns become the files that there are."""
    words = [w for word in command for w in (sorted(glob.glob(word, root_dir=folder)) or [word])]
    done = run([MSPOSE, *words], folder)
    assert done.status == 0, done.err
    return done


def grow(path, *more):
    """Append to a config."""
    path.write_text(path.read_text() + '\n'.join(more))


@pytest.fixture(scope='module')
def base(tmp_path_factory):
    """Return a folder in which all commands of the page have run, and what each printed.

    Nobody's muzzle is labelled in the training set; one person lacks its area.
    """
    folder = tmp_path_factory.mktemp('own')
    write_own_set(folder / 'data/horses', train=2, val=2)
    file = folder / 'data/horses/train.json'
    content = json.loads(file.read_text())
    for ann in content['annotations']:
        ann['keypoints'][:3] = [0, 0, 0]
        ann['num_keypoints'] = sum(v > 0 for v in ann['keypoints'][2::3])
    content['annotations'][0]['area'] = 0
    file.write_text(json.dumps(content))
    out = {}
    for command in COMMANDS:
        done = mspose(command, folder)
        out.setdefault(command[0], []).append(done.out)
        if '--config' in command:
            shutil.copy(folder / 'horse.py', folder / 'written.py')
            grow(folder / 'horse.py', MSSPOSE, TINY, BACKENDS.splitlines()[0])
    return folder, out


def test_the_page_says_what_happens(base):
    folder, out = base
    assert [c[0] for c in COMMANDS] == [*['check-data'] * 3, 'train', 'test', 'curves', 'predict']
    written = (folder / 'written.py').read_text().splitlines()
    assert len(written) <= 10
    written[1] = re.sub(r"'[^']*/configs", "'configs", written[1])
    assert ast.dump(ast.parse('\n'.join(written))) == ast.dump(ast.parse(LEAF))
    rows = re.findall(r'^\| (.+) \| (.+) \|$', PAGE, re.MULTILINE)
    assert set(rows) >= {(rule.what, rule.repair) for rule in RULES if rule.repair}
    assert (
        'area of 0, with which AP counts no prediction as right: area of the box (1)'
        in (out['check-data'][1])
    )
    repaired, original = (
        json.loads((folder / f'data/horses/train{name}.json').read_text())
        for name in ('_repaired', '')
    )
    changed = [a != b for a, b in zip(repaired['annotations'], original['annotations'])]
    assert changed == [True] + [False] * (len(changed) - 1)


def scalars(folder, name):
    (file,) = (folder / 'work_dirs' / name).glob('*/vis_data/scalars.json')
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_training_reports_ap_pck_and_validation_loss(base):
    folder, out = base
    *training, validation = scalars(folder, 'horse')
    assert all(np.isfinite(entry['loss']) and 'loss_msr_64x64' in entry for entry in training)
    assert {'coco/AP', 'PCK', 'PCK@0.05', 'AUC', 'val/loss'} <= validation.keys()
    assert np.isfinite([validation[key] for key in ('PCK', 'AUC', 'val/loss')]).all()
    metrics = json.loads((folder / 'horse.json').read_text())
    assert metrics['PCK'] == pytest.approx(validation['PCK'])
    assert 'nan' not in out['train'][0]


def test_curves_and_pictures_are_drawn(base):
    folder, _ = base
    for name in ('horses.png', 'work_dirs/horse/curves.png', 'horse_curves.png'):
        picture = cv2.imread(str(folder / name))
        assert picture is not None and picture.std() > 5, name
    drawn = [path for path in (folder / 'drawn').rglob('*') if path.suffix in ('.jpg', '.png')]
    assert len(drawn) == len(list((folder / 'data/horses/images').iterdir()))


def test_tensorboard_has_the_same_figures(base):
    folder, _ = base
    (log,) = (folder / 'work_dirs/horse').glob('*/vis_data/scalars.json')
    (events,) = log.parent.glob('events.*')
    board = EventAccumulator(str(events)).Reload()
    *_, validation = scalars(folder, 'horse')
    for name in ('val/loss', 'PCK', 'coco/AP'):
        (point,) = board.Scalars(name)
        assert point.value == pytest.approx(validation[name]) and point.step == 1
    assert len(board.Scalars('loss')) == len(scalars(folder, 'horse')) - 1


def test_joints_flips_sigmas_and_groups_reach_model_and_metric(base):
    folder, _ = base
    cfg = Config.fromfile(folder / 'work_dirs/horse/horse.py')  # what the run wrote is complete
    model = MODELS.build(cfg.model)
    groups = [set(group) for group in model.head.loss_module.groups]
    assert groups == [{0}, {1, 3}, {2, 4}, {1, 3, 4, 5}, {2, 3, 4, 6}, {3, 5}, {4, 6}]
    (weights,) = (folder / 'work_dirs/horse').glob('best*.pth')
    meta = torch.load(weights, weights_only=False)['meta']['dataset_meta']
    assert list(meta['keypoint_id2name'].values()) == list(JOINTS)
    assert meta['flip_indices'] == [0, 2, 1, 4, 3, 6, 5] and meta['dataset_name'] == 'horse'
    assert meta['sigmas'] == pytest.approx([0.067, 0.079, 0.079, 0.107, 0.107, 0.067, 0.067])


def test_mlpe_with_fewer_persons_than_a_batch(base):
    """Whose batch norms need two samples: the config lowers the batch size."""
    folder, _ = base
    command = [*COMMANDS[2][:-1], 'mlpe.py', '--model', 'mlpe']
    mspose(command, folder)
    text = (folder / 'mlpe.py').read_text()
    assert 'batch_size=' in text and len(text.splitlines()) <= 10
    grow(folder / 'mlpe.py', MLPE, TINY)
    done = mspose(['train', 'mlpe.py'], folder)
    training, validation = scalars(folder, 'mlpe')
    assert np.isfinite([training['loss'], validation['val/loss'], validation['PCK']]).all()
    assert 'coco/AP' in validation and (folder / 'work_dirs/mlpe/curves.png').is_file()
    assert 'loss_fine' in training and 'training curves: ' in done.out


def test_a_metainfo_of_mmpose_serves_as_well(tmp_path):
    path = tmp_path / 'horse10.py'
    leaf = LEAF.replace('configs/', f'{REPOSITORY}/configs/')
    path.write_text(leaf.replace('horse_info.py', 'mmpose::_base_/datasets/horse10.py'))
    assert "'mmpose::_base_/datasets/horse10.py'" in PAGE
    cfg = Config.fromfile(path)
    assert cfg.model.backbone.num_keypoints == 22
    assert len(MODELS.build(cfg.model).head.loss_module.groups) == 22


def test_lines_for_other_configs(tmp_path):
    """Those for hooks and back-ends go into a config that has neither."""
    for i, line in enumerate([*HOOKS.splitlines(), *BACKENDS.splitlines()]):
        path = tmp_path / f'{i}.py'
        path.write_text(f"_base_ = '{REPOSITORY}/configs/msspose_hourglass8_mpii.py'\n{line}\n")
        cfg = Config.fromfile(path)
        assert cfg.visualizer.type == 'PoseLocalVisualizer'
        assert 'checkpoint' in cfg.default_hooks and 'stages' in cfg.default_hooks
