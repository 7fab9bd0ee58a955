"""Measure what changes when several processes train and test in place of one.

Trains a config with one process and with several that share the same total batch, from the same
seed, in three ways: as it is; with fixed batch norms and without augmentation, where nothing but
rounding should differ; and, for comparison, with one process from another seed. Then the first
network is tested by one process, by several, and by one more than that. Without a GPU the processes
share the CPU, one thread each.
"""

import argparse
import os
import pickle
import shlex
import socket
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmpose.registry import HOOKS
from torch.nn.modules.batchnorm import _BatchNorm

from mspose_plugin.ablation.running import machine, write_config
from mspose_plugin.checkpoint.loading import load_checkpoint_file
from mspose_plugin.checkpoint.saving import find_latest_checkpoint
from mspose_plugin.cli import arguments
from mspose_plugin.cli.configs import load_config
from mspose_plugin.cli.output import show_table, track
from mspose_plugin.cli.running import run
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.curves import read_logs
from mspose_plugin.utils.files import read_json, write_json
from mspose_plugin.utils.wrappers import bare

ROOT = Path(__file__).resolve().parents[1]
RANDOM = (
    *('RandomFlip', 'RandomBBoxTransform', 'FastRandomBBoxTransform'),
    *('KeypointMasking', 'PhotometricDistortion'),
)
"""Steps of a training pipeline that draw random numbers."""
INITIAL = 'initial.pth'
"""The parameters that a training starts from, in its work directory."""


@HOOKS.register_module()
class FixedNormsHook(Hook):
    """Trains with batch norms that keep the statistics that they have."""

    def before_train_iter(self, runner, batch_idx: int, data_batch: Any = None) -> None:
        """Put them into evaluation mode, which mmengine's loop has ended."""
        for module in runner.model.modules():
            if isinstance(module, _BatchNorm):
                module.eval()


@HOOKS.register_module()
class InitialWeightsHook(Hook):
    """Keeps the parameters that a training starts from."""

    @master_only
    def before_train(self, runner) -> None:
        """Write them."""
        parameters = {n: p.detach() for n, p in bare(runner.model).named_parameters()}
        torch.save(parameters, Path(runner.work_dir, INITIAL))


@dataclass(frozen=True)
class Training:
    """A training to be compared.

    Args:
        processes: that share the total batch.
        fixed: with fixed batch norms, without augmentation.
        seed: of the run.
        threads: of each process.
    """

    processes: int = 1
    fixed: bool = False
    seed: int = 0
    threads: int = 1

    @property
    def name(self) -> str:
        """What it is called among the results and its files."""
        return f'{"fixed" if self.fixed else "default"}_{self.processes}_{self.seed}_{self.threads}'

    def config(self, cfg: Config, epochs: int) -> Config:
        """Return the config of the training.

        Args:
            cfg: the config that is measured.
            epochs: how many.
        """
        loader = cfg.train_dataloader
        fits = loader.batch_size % self.processes == 0
        check(fits, f'a batch of {loader.batch_size} does not divide by {self.processes} processes')
        options = {
            'train_dataloader.batch_size': loader.batch_size // self.processes,
            'train_cfg.max_epochs': epochs,
            'train_cfg.val_interval': 1,
            'randomness': dict(seed=self.seed),
            'default_hooks.logger.interval': 1,
            'default_hooks.validation_loss': dict(type='ValidationLossHook'),
            'default_hooks.initial_weights': dict(type='InitialWeightsHook'),
            'log_processor.window_size': 1,
            'custom_imports.imports': [*cfg.custom_imports.imports, 'tools.measure_distributed'],
        }
        if self.fixed:
            steps = [s for s in loader.dataset.pipeline if s.type.rpartition('.')[2] not in RANDOM]
            options |= {
                'train_dataloader.dataset.pipeline': steps,
                'default_hooks.fixed_norms': dict(type='FixedNormsHook'),
            }
        merged = Config(cfg._cfg_dict.to_dict())
        merged.merge_from_dict(options, allow_list_keys=False)
        return merged


def launch(tool: str, words: list[str], processes: int, threads: int = 1) -> None:
    """Run a tool in processes of its own.

    Args:
        tool: ``'train'`` or ``'test'``.
        words: its arguments, files first.
        processes: how many.
        threads: of each.

    Raises:
        InputError: it failed.
    """
    files = 1 + (tool == 'test')
    command = [sys.executable, f'{ROOT}/tools/{tool}.py', *words]
    if processes > 1:
        script = f'{ROOT}/tools/dist_{tool}.sh'
        command = [script, *words[:files], str(processes), *words[files:]]
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = str(s.getsockname()[1])
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get('PYTHONPATH'))))
    env = dict(OMP_NUM_THREADS=str(threads), PORT=port, PYTHON=sys.executable, PYTHONPATH=path)
    done = subprocess.run(command, env=os.environ | env, capture_output=True, text=True)
    check(done.returncode == 0, f'{shlex.join(command)} failed: {done.stderr[-2000:]}')


def train(training: Training, cfg: Config, epochs: int, folder: Path) -> dict[str, Any]:
    """Train, and return what was logged.

    Args:
        training: how.
        cfg: the config that is measured.
        epochs: how many.
        folder: of the runs.
    """
    config = write_config(folder / f'{training.name}.py', training.config(cfg, epochs))
    work_dir = folder / training.name
    words = [str(config), '--work-dir', str(work_dir)]
    launch('train', words, training.processes, training.threads)
    entries = read_logs(work_dir)[-1]
    steps = [entry for entry in entries if 'epoch' in entry]
    times = [e['time'] for e in steps if e['epoch'] > 1] or [e['time'] for e in steps]
    return dict(
        asdict(training),
        validations=[
            {k: v for k, v in e.items() if k != 'step'} for e in entries if e not in steps
        ],
        images_per_second=cfg.train_dataloader.batch_size / statistics.median(times),
    )


def weights(work_dir: Path) -> dict[str, torch.Tensor]:
    """Return the last weights of a run."""
    return load_checkpoint_file(str(find_latest_checkpoint(work_dir)))['state_dict']


def relative_distance(ours: Path, theirs: Path) -> float:
    """Return how far apart two trainings have come, relative to how far the first one has moved.

    Args:
        ours: work directory of the first training.
        theirs: of the other one.

    Returns:
        Euclidean distance of their last parameters, all together, over the distance of the first
        one's last parameters from its initial ones: 0 where both came to the same place, about 1.4
        where they went equally far at right angles.
    """
    start = load_checkpoint_file(ours / INITIAL)
    apart, moved = (
        sum(float((a[name].double() - b[name].double()).square().sum()) for name in start)
        for a, b in ((weights(ours), weights(theirs)), (weights(ours), start))
    )
    return (apart / moved) ** 0.5


def test(processes: int, config: Path, checkpoint: str, folder: Path) -> tuple[dict, np.ndarray]:
    """Test a checkpoint.

    Args:
        processes: how many.
        config: path.
        checkpoint: path.
        folder: for the results.

    Returns:
        Metrics, and the keypoints of all persons, ``[N, K, 2]``.
    """
    out, dump = folder / f'test{processes}.json', folder / f'test{processes}.pkl'
    words = [str(config), checkpoint, '--work-dir', str(folder / 'test')]
    launch('test', [*words, '--out', str(out), '--dump', str(dump)], processes)
    people = pickle.loads(dump.read_bytes())
    keypoints = np.concatenate([person['pred_instances']['keypoints'] for person in people])
    return read_json(str(out), 'metrics', 'run the tool again'), keypoints


def measure(cfg: Config, processes: int, epochs: int, folder: Path) -> dict[str, Any]:
    """Train and test in all ways.

    Args:
        cfg: the config that is measured.
        processes: that are compared with one.
        epochs: of each training.
        folder: of the runs.

    Returns:
        What the result file says.
    """
    gpus = torch.cuda.device_count()
    few = f'{gpus} GPUs for up to {processes + 1} processes, which need one each'
    check(not 0 < gpus <= processes, f'{few}; set CUDA_VISIBLE_DEVICES= to measure on the CPU')
    one, several = Training(), Training(processes)
    pairs = [
        (Training(fixed=True), Training(processes, fixed=True)),
        (one, several),
        (one, Training(seed=1)),
        (one, Training(threads=processes)),
    ]
    trainings = list(dict.fromkeys(t for pair in pairs for t in pair))
    found = {
        t.name: train(t, cfg, epochs, folder) for t in track(trainings, 'runs', len(trainings))
    }
    for first, second in pairs:
        apart = relative_distance(*(folder / t.name for t in (first, second)))
        found[second.name]['relative_distance'] = apart
    config, checkpoint = folder / f'{one.name}.py', str(find_latest_checkpoint(folder / one.name))
    tests, reference = [], None
    for count in (1, processes, processes + 1):
        metrics, keypoints = test(count, config, checkpoint, folder)
        reference = keypoints if reference is None else reference
        same = keypoints.shape == reference.shape
        check(same, f'{count} processes: {len(keypoints)} persons in place of {len(reference)}')
        apart = float(np.abs(keypoints - reference).max())
        row = dict(processes=count, persons=len(keypoints), metrics=metrics, pixels_apart=apart)
        tests.append(row)
    return dict(trainings=list(found.values()), tests=tests)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    arguments.add_config(parser)
    count = arguments.whole_number(2)
    parser.add_argument('--processes', type=count, default=2, help='at least 2 (default: 2)')
    epochs = arguments.positive_int
    parser.add_argument('--epochs', type=epochs, default=4, help='of a training (default: 4)')
    arguments.add_out(parser, ('.json',), 'the figures')


def main(args: argparse.Namespace) -> None:
    """Measure, show and write."""
    cfg = load_config(args.config, args.cfg_options)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(cfg, args.processes, args.epochs, Path(folder))
    rows = [
        [
            'fixed' if t['fixed'] else 'default',
            *(str(t[key]) for key in ('processes', 'threads', 'seed')),
            f'{t["validations"][-1]["val/loss"]:.6f}',
            f'{t.get("relative_distance", 0):.2g}',
            f'{t["images_per_second"]:.1f}',
        ]
        for t in found['trainings']
    ]
    columns = ['training', 'processes', 'threads', 'seed', 'val/loss', 'distance', 'images/s']
    show_table(columns, rows)
    for t in found['tests']:
        print(f'{t["processes"]} processes: {t["persons"]} persons, {t["pixels_apart"]} px apart')
    if args.out:
        how = dict(
            config=args.config,
            cfg_options=args.cfg_options,
            batch_size=cfg.train_dataloader.batch_size,
        )
        record = dict(how, epochs=args.epochs, load=os.getloadavg()[0], **found, **machine())
        write_json(args.out, record, indent=1)


if __name__ == '__main__':
    run(sys.modules[__name__])
