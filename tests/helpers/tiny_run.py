"""A network, a data set and a config so small that whole runs fit into a test.

Importing MMPose takes seconds, training on this data a fraction of one. Tools therefore run in
processes forked from a server that has imported everything once and run nothing; each has its own
memory, exit status and output, and can be killed like any other.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import runpy
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import cv2
import mmengine.config.config
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from scipy.io import savemat

REPOSITORY = Path(__file__).resolve().parents[2]
TRAIN, TEST = str(REPOSITORY / 'tools/train.py'), str(REPOSITORY / 'tools/test.py')

PRELOAD = (
    'mspose_plugin.cli.train',
    'mspose_plugin.cli.test',
    'mspose_plugin.cli.calibrate',
    'mspose_plugin.cli.convert',
    'mspose_plugin.cli.synthesize',
    'mspose_plugin.cli.check_data',
    'mspose_plugin.cli.curves',
    'mmpose.models',
    'mmpose.datasets',
    'mmpose.apis',
    'mmpose.engine',
    'mmpose.evaluation',
    'mmpose.visualization',
    'mmengine.runner',
    'tensorboard',
)

CONFIG = '''
_base_ = '{repository}/configs/_base_/default_runtime.py'

codec = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1)
load = [dict(type='GetBBoxCenterScale', padding=1.25),
        dict(type='TopdownAffine', input_size=codec['input_size'])]
train_pipeline = [dict(type='LoadImageChecked', skip_broken=True), *load,
                  dict(type='GenerateTarget', encoder=codec), dict(type='PackPoseInputs')]
val_pipeline = [dict(type='LoadImageChecked'), *load, dict(type='PackPoseInputs')]

model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(type='PoseDataPreprocessor', mean=[127.] * 3, std=[64.] * 3),
    backbone=dict(type='MultiScaleHourglass', num_keypoints=16, num_stacks=1, channels=16),
    head=dict(type='MSSHead', loss=dict(type='StructureAwareLoss'), decoder=codec),
    test_cfg=dict(flip_test=True))

mpii = dict(type='ZeroBasedMpiiDataset', data_root='{data}/', data_prefix=dict(img='images/'))
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(ann_file='annotations/mpii_train.json', pipeline=train_pipeline, **mpii))
val_dataloader = dict(
    batch_size=2, num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(ann_file='annotations/mpii_val.json', pipeline=val_pipeline, test_mode=True,
                 headbox_file='{data}/annotations/mpii_gt_val.mat', **mpii))
test_dataloader = val_dataloader
val_evaluator = test_evaluator = dict(type='PCKhAUC')

train_cfg = dict(by_epoch=True, max_epochs=2, val_interval=1)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1e-5, momentum=0.9))
param_scheduler = [
    dict(type='ReduceOnPlateauLR', monitor='PCKh', rule='greater', factor=0.2, patience=1),
    dict(type='MultiStepLR', milestones=[50, 70], by_epoch=True)]
auto_scale_lr = dict(enable=False, base_batch_size=8)
default_hooks = dict(logger=dict(interval=1))
randomness = dict(seed=0)
'''


def write_mpii(folder: Path, train: int = 8, val: int = 4) -> Path:
    """Write stick-free people in MPII's layout: one bright square for each joint.

    Args:
        folder: becomes ``images/`` and ``annotations/``.
        train: persons in ``mpii_train.json``. Defaults to 8.
        val: persons in ``mpii_val.json`` and ``mpii_gt_val.mat``. Defaults to 4.

    Returns:
        ``folder``.
    """
    rng = np.random.default_rng(0)
    (folder / 'images').mkdir(parents=True)
    (folder / 'annotations').mkdir()
    persons = []
    for i in range(train + val):
        image = np.full((96, 96, 3), 60, np.uint8)
        joints = rng.integers(14, 82, (16, 2))
        for k, (x, y) in enumerate(joints.tolist()):
            color = tuple(int(c) for c in np.array((40, 90, 13)) * (k + 1) % 256)
            cv2.rectangle(image, (x - 3, y - 3), (x + 3, y + 3), color, -1)
        name = f'{i:09d}.png'
        cv2.imwrite(str(folder / 'images' / name), image)
        persons.append(
            dict(
                image=name,
                center=[49.0, 42.0],
                scale=0.4,
                joints_vis=[1] * 16,
                joints=(joints + 1.0).tolist(),
            )
        )
    for split, part in (('train', persons[:train]), ('val', persons[train:])):
        (folder / f'annotations/mpii_{split}.json').write_text(json.dumps(part))
    boxes = np.tile(np.array([[10.0, 10.0], [30.0, 40.0]])[..., None], val)
    savemat(folder / 'annotations/mpii_gt_val.mat', dict(headboxes_src=boxes))
    return folder


def write_config(path: Path, data: Path, more: str = '') -> Path:
    """Write the tiny config, which inherits the project's runtime, for the data in ``data``."""
    path.write_text(CONFIG.format(repository=REPOSITORY, data=data) + more)
    return path


@dataclass
class Finished:
    """How a tool ended."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that an input error comes to; checked to be that."""
        lines = [line for line in self.err.splitlines() if line.startswith('error: ')]
        assert self.status == 2 and len(lines) == 1 and 'Traceback' not in self.err, self.err
        return lines[0]


def write_model(folder: Path, deviation: float | None = None) -> tuple[str, str]:
    """Write ``tiny.py``, for inferencers too, its data, and weights of its network, ``a.pth``.

    Args:
        folder (Path): where to.
        deviation (float, optional): of random weights whose heatmaps have their maxima anywhere.
            Defaults to None, an untrained network's, whose maxima are mostly at the border.

    Returns:
        tuple[str, str]: paths of config and weights.
    """
    inferencers = "\ndataset_type = 'ZeroBasedMpiiDataset'\ndata_mode = 'topdown'"
    config = write_config(folder / 'tiny.py', write_mpii(folder / 'mpii'), inferencers)
    return str(config), write_weights(config, folder / 'a.pth', deviation)


def write_weights(config: Path, path: Path, deviation: float | None = None) -> str:
    """Write weights of a config's network, as :func:`write_model` does, and return their path."""
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(config).model)
    if deviation is not None:
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, 0.0, deviation)
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return str(path)


def _run(argv: Sequence[str], folder: str, rank: str, env: dict[str, str]) -> None:
    for number, name in ((1, f'out{rank}.txt'), (2, f'err{rank}.txt')):
        handle = os.open(os.path.join(folder, name), os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(handle, number)
    gc.freeze()  # mmengine collects for every data set: seconds over all that is imported
    sys.stdout, sys.stderr = (os.fdopen(n, 'w', buffering=1) for n in (1, 2))
    multiprocessing.set_start_method('fork', force=True)  # what mmengine sets, with a warning
    # most of the time of a tiny run goes into the layout of the config's text
    mmengine.config.config.FormatCode = lambda text, **_: (text, False)
    os.environ.update(env)
    os.chdir(folder)
    sys.argv = list(argv)
    runpy.run_path(argv[0], run_name='__main__')


def start(argv: Sequence[str | Path], folder: Path, rank: str = '', **env: str) -> BaseProcess:
    """Start a Python script in a process forked from the server.

    Args:
        argv: path of the script and its arguments.
        folder: working folder; standard output and error go to ``out.txt`` and ``err.txt``
            there.
        rank: put behind ``out`` and ``err``. Defaults to nothing.
        **env: further environment variables.
    """
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    context = multiprocessing.get_context('forkserver')
    folder.mkdir(parents=True, exist_ok=True)
    process = context.Process(target=_run, args=([str(a) for a in argv], str(folder), rank, env))
    process.start()
    return process


def run(argv: Sequence[str | Path], folder: Path, timeout: float = 120, **env: str) -> Finished:
    """Run a Python script as :func:`start` does and wait for its end."""
    process = start(argv, folder, **env)
    return finish(process, folder, timeout)


def finish(process: BaseProcess, folder: Path, timeout: float = 120, rank: str = '') -> Finished:
    """Wait for a process of :func:`start`."""
    process.join(timeout)
    if process.is_alive():
        process.kill()
        process.join()
    return Finished(
        process.exitcode,
        (folder / f'out{rank}.txt').read_text(),
        (folder / f'err{rank}.txt').read_text(),
    )


def run_ranks(
    argv: Sequence[str | Path], folder: Path, count: int = 2, slurm: bool = False
) -> list[Finished]:
    """Run a script in ``count`` processes with the environment that torchrun, or srun, gives."""
    common = dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=free_port())
    if slurm:
        common |= dict(SLURM_NTASKS=str(count), SLURM_NODELIST='localhost')
        names = ('SLURM_PROCID', 'SLURM_LOCALID')
    else:
        common |= dict(WORLD_SIZE=str(count))
        names = ('RANK', 'LOCAL_RANK')
    started = [
        start(argv, folder, str(i), **common, **dict.fromkeys(names, str(i))) for i in range(count)
    ]
    return [finish(p, folder, rank=str(i)) for i, p in enumerate(started)]


def free_port() -> str:
    """Return a port that nobody listens on."""
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return str(s.getsockname()[1])
