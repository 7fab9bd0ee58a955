"""The command-line tools from end to end, each argument and each kind of bad input."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import mmpose
import pytest
import tiny_run
import torch
from mmengine.config import Config
from mmpose.apis import init_model
from tiny_run import REPOSITORY, TEST, TRAIN, run, run_ranks

from mspose_plugin.checkpoint.loading import UnsafeCheckpointError, load_checkpoint_file
from mspose_plugin.engine.optim_wrappers.autocast_optim_wrapper import fast_bfloat16

MMPOSE_TOOLS = Path(mmpose.__file__).parent / '.mim/tools'


@pytest.fixture(scope='module')
def base(tmp_path_factory):
    """Return a folder with data, the tiny config and a run of two epochs."""
    folder = tmp_path_factory.mktemp('base')
    data = tiny_run.write_mpii(folder / 'mpii')
    config = tiny_run.write_config(folder / 'tiny.py', data)
    done = run([TRAIN, config, '--work-dir', folder / 'run'], folder / 'cwd')
    assert done.status == 0, done.err
    (folder / 'train.txt').write_text(done.out)
    return folder


@pytest.fixture()
def train(base, tmp_path):
    """Return a function that runs ``tools/train.py`` with arguments."""
    return lambda *args, **env: run(
        [TRAIN, base / 'tiny.py', '--work-dir', tmp_path / 'run', *args], tmp_path / 'cwd', **env
    )


@pytest.fixture()
def test(base, tmp_path):
    """Return a function that runs ``tools/test.py`` with arguments."""
    return lambda *args: run(
        [TEST, base / 'tiny.py', *args, '--work-dir', tmp_path / 'run'], tmp_path / 'cwd'
    )


class Evil:
    """Pickles as a call of os.system."""

    def __reduce__(self):
        return os.system, ('touch pwned',)


def edited(base, path, change):
    """Write the run's checkpoint with changes made by ``change(checkpoint)``."""
    checkpoint = load_checkpoint_file(base / 'run/epoch_2.pth')
    change(checkpoint)
    torch.save(checkpoint, path)
    return path


# ---------------------------------------------------------------- training


def test_training_leaves_what_it_says(base):
    log = (base / 'train.txt').read_text()
    assert 'Epoch(train) [2][4/4]' in log and 'eta: ' in log and 'PCKh' in log
    files = os.listdir(base / 'run')
    assert {'epoch_1.pth', 'epoch_2.pth', 'last_checkpoint', 'tiny.py'} <= set(files)
    assert [f for f in files if f.startswith('best_PCKh_epoch_')]
    assert not [f for f in files if f.startswith('.')]
    meta = load_checkpoint_file(base / 'run/epoch_2.pth')['meta']
    assert (meta['epoch'], meta['iter'], meta['seed']) == (2, 8, 0)


def test_resume_is_as_if_never_stopped(base, train, tmp_path):
    (tmp_path / 'run').mkdir()
    for name in ('epoch_1.pth', 'epoch_2.pth'):
        shutil.copy2(base / 'run' / name, tmp_path / 'run')
    (tmp_path / 'run/last_checkpoint').write_text(str(base / 'run/epoch_2.pth'))
    long = ('--cfg-options', 'train_cfg.max_epochs=3')
    done = train('--resume', *long)
    assert done.status == 0 and 'resumed epoch: 2, iter: 8' in done.out, done.err
    assert 'Epoch(train) [3][1/4]' in done.out and 'Epoch(train) [2]' not in done.out
    again = run(
        [TRAIN, base / 'tiny.py', '--work-dir', tmp_path / 'whole', *long], tmp_path / 'cwd'
    )
    assert again.status == 0, again.err
    parts, whole = (
        load_checkpoint_file(tmp_path / name / 'epoch_3.pth') for name in ('run', 'whole')
    )
    for key, value in whole['state_dict'].items():
        assert torch.equal(parts['state_dict'][key], value), key
    assert str(parts['optimizer']) == str(whole['optimizer'])
    assert parts['meta']['iter'] == whole['meta']['iter'] == 12
    # named, from a folder of its own, with the best checkpoint of the other run left alone
    done = run(
        [
            TRAIN,
            base / 'tiny.py',
            '--work-dir',
            tmp_path / 'named',
            '--resume',
            base / 'run/epoch_1.pth',
        ],
        tmp_path / 'cwd',
    )
    assert done.status == 0 and 'resumed epoch: 1, iter: 4' in done.out, done.err
    assert list((base / 'run').glob('best_*.pth'))


def test_nothing_to_resume(train, tmp_path):
    line = train('--resume').error
    assert line == (
        f'error: --resume: {tmp_path}/run holds no finished checkpoint; start without '
        '--resume, or name a checkpoint'
    )
    assert 'nothing.pth: no such file' in train('--resume', 'nothing.pth').error


def test_resume_from_weights_only(base, train, tmp_path):
    path = edited(base, tmp_path / 'weights.pth', lambda c: c.pop('meta'))
    assert (
        'weights.pth holds weights without the state of a training' in train('--resume', path).error
    )
    best = next((base / 'run').glob('best_*.pth'))
    done = train('--resume', best)
    assert done.status == 0 and 'has no optimizer state' in done.out, done.err


def test_amp_and_auto_scale_lr(train, tmp_path):
    done = train(
        '--amp',
        '--auto-scale-lr',
        '--no-validate',
        '--cfg-options',
        'train_cfg.max_epochs=1',
        'param_scheduler=None',
    )
    assert done.status == 0, done.err
    half = torch.cuda.is_available() and not fast_bfloat16('cuda')
    assert Config.fromfile(tmp_path / 'run/tiny.py').optim_wrapper.type == (
        'AmpOptimWrapper' if half else 'AutocastOptimWrapper'
    )
    assert 'lr: 2.500000e-06' in done.out  # batch 2 in place of 8
    assert 'Epoch(val)' not in done.out
    assert 'LR is set based on batch size of 8' in done.out


def test_no_validation_for_a_schedule_that_needs_figures(train, tmp_path):
    line = train('--no-validate').error
    assert "ReduceOnPlateauLR goes by the validation's PCKh" in line
    assert not (tmp_path / 'run').exists() or not list((tmp_path / 'run').glob('*.pth'))


def test_arguments_that_do_not_go_with_the_config(base, tmp_path):
    config = tiny_run.write_config(
        tmp_path / 'tiny.py',
        base / 'mpii',
        "optim_wrapper['type'] = 'ApexOptimWrapper'\ndel auto_scale_lr\n"
        "default_hooks['visualization'] = None\n",
    )
    for argument, message in (
        (['--amp'], "optim_wrapper.type='ApexOptimWrapper'"),
        (['--auto-scale-lr'], 'no auto_scale_lr.base_batch_size'),
        (['--show-dir', 'x'], 'no default_hooks.visualization'),
    ):
        assert message in run([TRAIN, config, *argument], tmp_path / 'cwd').error


def test_one_bad_image_among_many_is_a_counted_warning(base, tmp_path):
    data = tmp_path / 'mpii'
    shutil.copytree(base / 'mpii', data)
    image = data / 'images/000000003.png'
    image.write_bytes(image.read_bytes()[:300])
    config = tiny_run.write_config(tmp_path / 'tiny.py', data)
    done = run([TRAIN, config, '--work-dir', tmp_path / 'run'], tmp_path / 'cwd')
    assert done.status == 0, done.err
    assert f'skipped broken image {image} (1 so far' in done.out
    image = data / 'images/000000009.png'
    image.write_bytes(image.read_bytes()[:300])
    done = run([TEST, config, tmp_path / 'run/epoch_2.pth'], tmp_path / 'cwd')
    assert str(image) in done.error and 'truncated' in done.error
    # also out of a data-loading process, whose traceback stays behind
    done = run(
        [
            TEST,
            config,
            tmp_path / 'run/epoch_2.pth',
            '--cfg-options',
            'test_dataloader.num_workers=1',
        ],
        tmp_path / 'cwd',
    )
    assert done.error.startswith('error: cannot read image') and str(image) in done.error


# ---------------------------------------------------------------- testing


def test_out_dump_and_show_dir(base, test, tmp_path):
    done = test(
        base / 'run/epoch_2.pth',
        '--out',
        tmp_path / 'metrics.json',
        '--dump',
        tmp_path / 'predictions.pkl',
        '--show-dir',
        'drawn',
    )
    assert done.status == 0, done.err
    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    assert {'PCKh', 'AUC', 'Wrist'} <= metrics.keys() and 0 <= metrics['PCKh'] <= 100
    assert f'PCKh: {metrics["PCKh"]:.6f}' in done.out
    predictions = pickle.loads((tmp_path / 'predictions.pkl').read_bytes())
    assert len(predictions) == 4
    assert predictions[0]['pred_instances']['keypoints'].shape == (1, 16, 2)
    drawn = tmp_path / 'cwd/drawn'
    assert sorted(os.listdir(drawn)) == [f'{i:09d}_0.png' for i in range(8, 12)]


@pytest.mark.parametrize(
    'args, message',
    [
        (['--out', 'metrics.txt'], '--out: metrics.txt: expected a file name ending in .json'),
        (['--dump', 'a.json'], '--dump: a.json: expected a file name ending in .pkl'),
        (['--cfg-options', 'train_dataloader.dataset.pipeline.99.type=x'], '--cfg-options: '),
    ],
)
def test_bad_arguments(base, test, args, message):
    assert message in test(base / 'run/epoch_2.pth', *args).error


def test_missing_and_unreadable_files(base, test, train, tmp_path):
    assert 'nothing.pth: no such file' in test('nothing.pth').error
    cut = tmp_path / 'cut.pth'
    cut.write_bytes((base / 'run/epoch_2.pth').read_bytes()[:9999])
    assert f'checkpoint {cut}: cannot be read' in test(cut).error
    assert f'checkpoint {cut}: cannot be read' in train('--resume', cut).error
    done = run([TRAIN, 'nothing.py'], tmp_path / 'cwd')
    assert done.error.startswith('error: config nothing.py: no such file')
    (tmp_path / 'bad.py').write_text("_base_ = 'nothing.py'")
    done = run([TRAIN, tmp_path / 'bad.py'], tmp_path / 'cwd')
    assert 'bad.py: cannot be read: ' in done.error
    done = train('--cfg-options', 'novalue')
    assert done.status == 2 and 'takes KEY=VALUE' in done.err and 'Traceback' not in done.err


def test_checkpoint_of_another_architecture(base, test, train, tmp_path):
    def wider(checkpoint):
        name = next(k for k, v in checkpoint['state_dict'].items() if v.dim() == 4)
        checkpoint['state_dict'][name] = checkpoint['state_dict'][name].repeat(2, 1, 1, 1)

    for change, what in (
        (wider, '1 tensors of another shape, first backbone.'),
        (lambda c: c['state_dict'].popitem(), '1 tensors missing, first '),
        (
            lambda c: c['state_dict'].update({'head.extra': torch.ones(1)}),
            '1 tensors unexpected, first head.extra',
        ),
    ):
        path = edited(base, tmp_path / 'other.pth', change)
        for done in (test(path), train('--resume', path)):
            assert f'{path} does not fit the model' in done.error and what in done.error
    torch.save([1, 2], path)
    assert 'holds a list in place of a state_dict' in test(path).error


def test_wrong_number_of_keypoints(base, train, test):
    fourteen = ('--cfg-options', 'model.backbone.num_keypoints=14')
    assert 'num_keypoints=14: expected 16' in train(*fourteen).error
    assert 'does not fit the model' in test(base / 'run/epoch_2.pth', *fourteen).error


def test_missing_data_says_what_to_download(base, train, tmp_path):
    line = train('--cfg-options', 'train_dataloader.dataset.data_root=data/mpii/').error
    assert 'data/mpii/annotations/mpii_train.json does not exist' in line
    assert 'mpii_human_pose_v1.tar.gz' in line and 'data/mpii/images/' in line
    empty = tmp_path / 'empty.json'
    empty.touch()
    line = train('--cfg-options', f'train_dataloader.dataset.ann_file={empty}').error
    assert str(empty) in line


@pytest.mark.parametrize('legacy', [False, True], ids=['zip', 'legacy'])
def test_hostile_checkpoint_is_refused_everywhere(base, test, train, tmp_path, legacy):
    checkpoint = load_checkpoint_file(base / 'run/epoch_2.pth')
    checkpoint['meta']['x'] = Evil()
    path = tmp_path / 'hostile.pth'
    torch.save(checkpoint, path, _use_new_zipfile_serialization=not legacy)
    for done in (test(path), train('--resume', path)):
        assert done.error.startswith(f'error: checkpoint {path}: refused, it asks for posix.system')
    with pytest.raises(UnsafeCheckpointError, match='posix.system'):
        init_model(str(base / 'tiny.py'), str(path), device='cpu')
    assert not list(tmp_path.rglob('pwned')) and not Path('pwned').exists()


def test_config_in_a_checkpoint_is_not_executed(base, train, tmp_path):
    path = edited(
        base,
        tmp_path / 'a.pth',
        lambda c: c['meta'].update(config=f'open({str(tmp_path / "pwned")!r}, "w")'),
    )
    assert train('--resume', path).status == 0
    assert not (tmp_path / 'pwned').exists()


# ---------------------------------------------------------------- MMPose's own tools


def test_mmposes_own_tools(base, tmp_path):
    done = run(
        [MMPOSE_TOOLS / 'train.py', base / 'tiny.py', '--work-dir', tmp_path / 'run'],
        tmp_path / 'cwd',
    )
    assert done.status == 0, done.err
    ours, theirs = (
        load_checkpoint_file(folder / 'run/epoch_2.pth')['state_dict']
        for folder in (base, tmp_path)
    )
    assert all(torch.equal(ours[k], theirs[k]) for k in ours)
    done = run(
        [
            MMPOSE_TOOLS / 'train.py',
            base / 'tiny.py',
            '--work-dir',
            tmp_path / 'run',
            '--resume',
            '--cfg-options',
            'train_cfg.max_epochs=3',
        ],
        tmp_path / 'cwd',
    )
    assert done.status == 0 and 'resumed epoch: 2, iter: 8' in done.out, done.err
    done = run(
        [
            MMPOSE_TOOLS / 'test.py',
            base / 'tiny.py',
            tmp_path / 'run/epoch_3.pth',
            '--out',
            tmp_path / 'metrics.json',
            '--show-dir',
            'drawn',
            '--work-dir',
            tmp_path / 'run',
        ],
        tmp_path / 'cwd',
    )
    assert done.status == 0, done.err
    assert 'PCKh' in json.loads((tmp_path / 'metrics.json').read_text())


# ---------------------------------------------------------------- several processes


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs one GPU for each process')
def test_two_processes(base, tmp_path):
    argv = ['--launcher', 'pytorch', '--work-dir', tmp_path / 'run']
    for tool in (TRAIN, MMPOSE_TOOLS / 'train.py'):
        done = run_ranks([tool, base / 'tiny.py', *argv], tmp_path)
        assert [d.status for d in done] == [0, 0], done[0].err + done[1].err
        assert 'Epoch(train) [2][2/2]' in done[0].out  # 8 persons, 2 each
    done = run_ranks(
        [
            TEST,
            base / 'tiny.py',
            tmp_path / 'run/epoch_2.pth',
            *argv,
            '--out',
            tmp_path / 'two.json',
        ],
        tmp_path,
    )
    assert [d.status for d in done] == [0, 0], done[0].err + done[1].err
    one = run(
        [
            TEST,
            base / 'tiny.py',
            tmp_path / 'run/epoch_2.pth',
            '--work-dir',
            tmp_path / 'run',
            '--out',
            tmp_path / 'one.json',
        ],
        tmp_path / 'cwd',
    )
    assert one.status == 0, one.err
    one, two = (json.loads((tmp_path / f'{n}.json').read_text()) for n in ('one', 'two'))
    assert one == two
    # an error ends every process, each with its line
    path = edited(base, tmp_path / 'other.pth', lambda c: c['state_dict'].popitem())
    for done in run_ranks([TEST, base / 'tiny.py', path, *argv], tmp_path):
        assert 'does not fit the model' in done.error


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs one GPU for each process')
def test_shell_scripts(base, tmp_path):
    """The only run of this file in processes of their own, through torchrun."""
    # as `make test` runs it: the environment need not be activated
    env = dict(PYTHON=sys.executable, OMP_NUM_THREADS='1', PORT=tiny_run.free_port())
    argv = ['--work-dir', tmp_path / 'run', '--cfg-options', 'train_cfg.max_epochs=1']
    done = subprocess.run(
        [REPOSITORY / 'tools/dist_train.sh', base / 'tiny.py', '2', *argv],
        env=os.environ | env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'run/epoch_1.pth').exists()


@pytest.mark.parametrize('tool, inputs', [('train', ['C']), ('test', ['C', 'CHECKPOINT'])])
def test_the_commands_of_the_shell_scripts(tool, inputs, tmp_path):
    recorder = tmp_path / 'python'
    recorder.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    recorder.chmod(0o755)
    done = subprocess.run(
        [REPOSITORY / f'tools/dist_{tool}.sh', *inputs, '2', '--amp', 'a b'],
        env=os.environ | dict(PYTHON=str(recorder), PORT='1234'),
        capture_output=True,
        text=True,
    )
    words = done.stdout.splitlines()
    assert words[:2] == ['-m', 'torch.distributed.run']
    assert {'--nproc_per_node=2', '--master_port=1234', '--nnodes=1'} <= set(words)
    script = [str(REPOSITORY / f'tools/{tool}.py'), '--launcher', 'pytorch', *inputs]
    assert words[-len(script) - 2 :] == [*script, '--amp', 'a b']


# ---------------------------------------------------------------- the project's own config


def test_the_projects_config_on_small_data(base, tmp_path):
    """All three stages, by MMPose's own tools, then ours; nothing but sizes is changed."""
    config = REPOSITORY / 'configs/msspose_hourglass8_mpii.py'
    loader = [
        f'{split}_dataloader.{key}'
        for split in ('train', 'val', 'test')
        for key in (
            f'dataset.data_root={base}/mpii/',
            'num_workers=0',
            'persistent_workers=False',
            'batch_size=4',
        )
    ]
    boxes = [
        f'{split}_dataloader.dataset.headbox_file={base}/mpii/annotations/mpii_gt_val.mat'
        for split in ('val', 'test')
    ]
    options = [
        '--cfg-options',
        'model.backbone.num_stacks=1',
        'model.backbone.channels=16',
        'model.head.context_channels=16',
        'train_cfg.max_epochs=3',
        *loader,
        *boxes,
        *(f'default_hooks.stages.stages.{i}.epochs=1' for i in range(3)),
    ]
    argv = [config, '--work-dir', tmp_path / 'run', *options]
    done = run([MMPOSE_TOOLS / 'train.py', *argv], tmp_path / 'cwd')
    assert done.status == 0 and 'Epoch(val) [3][1/1]' in done.out, done.err
    (tmp_path / 'run/epoch_3.pth').unlink()
    done = run([TRAIN, *argv, '--resume'], tmp_path / 'cwd')
    assert done.status == 0 and 'resumed epoch: 2' in done.out, done.err
    done = run([TEST, config, tmp_path / 'run/epoch_3.pth', *options], tmp_path / 'cwd')
    assert done.status == 0 and 'PCKh' in done.out, done.err
