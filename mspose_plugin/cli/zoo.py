"""``mspose check-env --zoo``: which of MMPose's own configs run on the installed releases.

Every config that MMPose publishes is built with random weights and predicts once: an image of
noise through the config's own test pipeline, at its own input size; a pose lifter gets a sequence
of random keypoints. Nothing is downloaded. Each config has a process of its own, so that none can
take the others down.
"""

from __future__ import annotations

import json
import os
import platform
import re
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib import metadata
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import mmpose
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import Registry, init_default_scope
from mmengine.structures import InstanceData
from mmpose.apis import (
    inference_bottomup,
    inference_pose_lifter_model,
    inference_topdown,
    init_model,
)
from mmpose.models.builder import build_pose_estimator
from mmpose.registry import DATASETS
from mmpose.structures import PoseDataSample

from mspose_plugin.cli.output import show_table, track
from mspose_plugin.utils.mmcv_ops import UnavailableOperatorError
from mspose_plugin.utils.processes import context

LIMIT = 600
"""Seconds that a config may take."""

RUNS, BUILDS, FAILS = 'runs', 'builds', 'fails'
PACKAGES = (
    *('mspose-plugin', 'mmpose', 'mmengine', 'mmdet', 'mmpretrain', 'mmcv', 'mmcv-lite'),
    *('torch', 'torchvision', 'numpy', 'opencv-python'),
)
ROOT = Path(mmpose.__file__).parent / '.mim/configs'


def configs() -> list[Path]:
    """Return the configs that came with MMPose, without their bases."""
    return sorted(path for path in ROOT.rglob('*.py') if '_base_' not in path.parts)


def check(paths: Sequence[Path], workers: int, device: str) -> dict[str, Any]:
    """Build and run configs, with a progress bar on stderr.

    Args:
        paths: the configs.
        workers: how many at a time.
        device: such as ``'cpu'`` or ``'cuda:0'``.

    Returns:
        ``versions`` by package, ``device`` and, by config, ``configs``: see :func:`examine`.
    """
    with ThreadPoolExecutor(workers) as pool:
        futures = {pool.submit(_in_a_process, path, device): path for path in paths}
        done = as_completed(futures)
        bar = track(done, "MMPose's configs", len(paths))
        rows = {futures[future].as_posix(): future.result() for future in bar}
    versions = {'python': platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            pass
    names = {path: path.removeprefix(f'{ROOT.as_posix()}/') for path in sorted(rows)}
    found = {names[path]: rows[path] for path in names}
    return dict(versions=versions, device=device, configs=found)


def _in_a_process(path: Path, device: str) -> dict[str, Any]:
    how = context([__name__], gpu=device.startswith('cuda'))
    ours, theirs = how.Pipe(duplex=False)
    process = how.Process(  # type: ignore[attr-defined]
        target=_send, args=(theirs, path, device), daemon=True
    )
    start = time.monotonic()
    process.start()
    theirs.close()
    try:
        row = ours.recv() if ours.poll(LIMIT) else dict(state=FAILS, why=f'more than {LIMIT} s')
    except EOFError:
        process.join()
        row = dict(state=FAILS, why=f'its process died with status {process.exitcode}')
    process.kill()
    process.join()
    return dict(row, seconds=round(time.monotonic() - start, 1))


def _send(pipe: Connection, path: Path, device: str) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.chdir(ROOT.parent)  # some configs name others as configs/...
    torch.set_num_threads(1)
    pipe.send(examine(path, device))


def examine(path: Path, device: str) -> dict[str, str]:
    """Build a config's model and let it predict.

    Returns:
        ``state``: ``'runs'``, ``'builds'`` or ``'fails'``, and ``why`` it does no more.
    """
    warnings.simplefilter('ignore')
    torch.manual_seed(0)  # some decoders invert what random weights predict
    state = FAILS
    try:
        cfg = Config.fromfile(path)
        _forget_weights(cfg.model)
        init_default_scope('mmpose')
        if 'teacher_cfg' in cfg.model:
            build_pose_estimator(cfg.model)
            return dict(state=BUILDS, why='a distiller only trains')
        # semi-supervised lifting has no data set of its own to train on
        dataset = cfg.get('train_dataloader', cfg.test_dataloader).dataset
        if 'subset' in dataset:  # MMPose knows its keypoints once the data set is made
            DATASETS.get(dataset.type)._check_subset_and_metainfo(dataset.subset)
        model = init_model(cfg, device=device)
        state = BUILDS
        predict(model)
    except Exception as e:
        return dict(state=state, why=reason(e))
    return dict(state=RUNS, why='')


def _forget_weights(part: Any) -> None:
    """Remove what would be downloaded."""
    if isinstance(part, dict):
        for key in ('init_cfg', 'pretrained'):
            part.pop(key, None)
    for child in part.values() if isinstance(part, dict) else part:
        if isinstance(child, dict | list | tuple):
            _forget_weights(child)


def predict(model: Any) -> None:
    """Let a model of MMPose predict, as its type expects.

    Args:
        model: as :func:`mmpose.apis.init_model` returns it.

    Raises:
        RuntimeError: it predicts nothing of the kind it should.
    """
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (256, 192, 3), dtype=np.uint8)
    if model.cfg.model.type == 'PoseLifter':
        dataset = model.cfg.test_dataloader.dataset
        persons = InstanceData(
            keypoints=rng.uniform(0, 192, (1, model.dataset_meta['num_keypoints'], 2)),
            keypoint_scores=np.ones((1, model.dataset_meta['num_keypoints'])),
            bboxes=np.array([[0.0, 0, 192, 256]]),
        )
        frame = PoseDataSample(pred_instances=persons, gt_instances=persons.clone(), track_id=0)
        frames = [[frame.clone()] for _ in range(dataset.get('seq_len', 1))]
        results = inference_pose_lifter_model(model, frames, image_size=(192, 256))
    elif model.cfg.model.type == 'BottomupPoseEstimator':
        results = inference_bottomup(model, image)
    else:
        results = inference_topdown(model, image)
    if not (results and 'pred_instances' in results[0]):
        raise RuntimeError('no predictions')


def reason(error: BaseException) -> str:
    """Return why a config does not run, in words that many configs share."""
    absent = re.match(r"'(\w+\.\w+) is not in the", str(error))
    scope = Registry.split_scope_key(absent[1])[0] if absent else None
    if isinstance(error, ImportError) and error.name:
        return f'needs the package {error.name.partition(".")[0]}'
    if scope and find_spec(scope) is None:
        return f'needs the package {scope}'
    if isinstance(error, UnavailableOperatorError):
        return f'needs the compiled operator {str(error).split(chr(39))[1]}'
    if isinstance(error, FileNotFoundError):
        return f'needs the file {error.filename or error}'
    line = next(iter(str(error).strip().splitlines()), '')
    absent = re.match(r'\S*site-packages/(\S+) not found', line)
    return f'needs the file {absent[1]}' if absent else f'{type(error).__name__}: {line[:120]}'


def show(report: dict[str, Any]) -> None:
    """Print what :func:`check` found: figures by kind of config, then what stands in the way."""
    rows = report['configs']
    lines = []
    for kind in sorted({_kind(name) for name in rows}):
        states = [row['state'] for name, row in rows.items() if _kind(name) == kind]
        lines.append([kind, *_figures(states)])
    lines.append(['all', *_figures([row['state'] for row in rows.values()])])
    print(f'MMPose on {report["device"]}')
    show_table(['configs', 'all', 'build', 'run'], lines)
    print()
    for why, number in Counter(row['why'] for row in rows.values() if row['why']).most_common():
        print(f'{number:4} {why}')


def _kind(name: str) -> str:
    return '/'.join(name.split('/')[:2])


def _figures(states: list[str]) -> list[str]:
    return [str(len(states)), str(len(states) - states.count(FAILS)), str(states.count(RUNS))]


def main(words: Sequence[str], workers: int, device: str, as_json: bool) -> int:
    """Check the configs whose path contains one of the words, or all; return the exit status."""
    paths = [path for path in configs() if any(word in str(path) for word in words or [''])]
    report = check(paths, workers, device)
    if as_json:
        print(json.dumps(report, indent=1))
    else:
        show(report)
    return 0
