"""The rows of a plan, trained, tested and written down; what is done is not done again."""

from __future__ import annotations

import json
import math
import os
import platform
import pprint
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from mmengine.config import Config

from mspose_plugin.ablation.persons import describe
from mspose_plugin.ablation.plan import Job, Plan, Variant, read_entries
from mspose_plugin.checkpoint.loading import load_checkpoint_file
from mspose_plugin.checkpoint.saving import find_latest_checkpoint
from mspose_plugin.cli.check_env import PROJECT, installed
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.curves import read_logs
from mspose_plugin.utils.files import read_json, write_file, write_json
from mspose_plugin.utils.processes import context, settle

PACKAGES = ('mmpose', 'mmengine', 'numpy', 'opencv-python')
PRELOAD = ('mspose_plugin.cli.train', 'mspose_plugin.cli.test', 'mmpose.models', 'mmpose.datasets')
PERSONS = 'persons.json'
ROOT = Path(__file__).resolve().parents[2]
COMPUTES = ('mspose_plugin', 'configs', 'tools')
"""Folders of what a figure is computed with; results are written into the project, too."""
STARTED_FROM = 'started_from'
"""Entry of a run's config: digest of the row whose weights it started from, which have the same
name whatever they were trained with."""


@dataclass(frozen=True)
class Runs:
    """Where the rows of a plan are made.

    Args:
        plan: the plan.
        out: folder of the results, ``VARIANT_SEED.json`` and ``persons.json``.
        work_dir: folder of the runs.
        threads: of a row's process; None leaves them to PyTorch.
    """

    plan: Plan
    out: Path
    work_dir: Path
    threads: int | None = None

    def result(self, variant: Variant, seed: int) -> Path:
        """Return the file of a row's result."""
        return self.out / f'{variant.name}_{seed}.json'

    def done(self, variant: Variant, seed: int) -> bool:
        """Tell whether a row has its result.

        Raises:
            InputError: it has one of another config than the plan now gives.
        """
        path = self.result(variant, seed)
        if not path.exists():
            return False
        found = self._read(path)
        said = json.loads(json.dumps(variant.options))
        same = found.get('cfg_options') in (said, {**said, 'randomness.seed': seed})
        same &= all(found.get(key) == getattr(variant, key) for key in ('start_from', 'weights_of'))
        if 'config' in found:  # older results say less
            same &= found['config'] == self.plan.digest(variant, seed)
        remedy = 'remove it to run the row again'
        check(
            same, f'{path}: of another variant {variant.name} than {self.plan.path} has; {remedy}'
        )
        return True

    def run(self, job: Job) -> Iterable[str]:
        """Make the rows of a job that have no result yet.

        Yields:
            A line for each row made.

        Raises:
            InputError: a training or test failed; the message says where its log is.
        """
        for variant in job.variants:
            if not self.done(variant, job.seed):
                yield self._run(variant, job.seed)

    def _read(self, path: Path) -> dict[str, Any]:
        return read_json(str(path), 'result file', 'remove it, and the row is run again')

    def _run(self, variant: Variant, seed: int) -> str:
        name = f'{variant.name}_{seed}'
        folder = self.work_dir / name
        start, losses = time.monotonic(), {}
        if variant.parent:
            origin = self._read(self.result(self.plan.variants[variant.parent], seed))
            if 'diverged' in origin:  # what weights there are, are of an unfinished training
                error = f'{variant.parent}: {origin["diverged"]}'
                return self._write(variant, seed, start, diverged=error, losses={}, metrics={})
        folder.mkdir(parents=True, exist_ok=True)
        cfg = self.plan.config(variant, seed)
        if variant.start_from:
            cfg.load_from = self._weights(variant.start_from, seed)
            cfg[STARTED_FROM] = self.plan.digest(self.plan.variants[variant.start_from], seed)
        config = self.work_dir / f'{name}.py'
        resumed = find_latest_checkpoint(folder) is not None
        if config.exists() and resumed:
            same = training(Config.fromfile(config)) == training(cfg)
            other = f'holds weights of another config than {self.plan.path} now gives'
            check(same, f'{folder}: {other}; remove it to train the row again')
        write_config(config, cfg)
        if not variant.weights_of:
            error = self._train(cfg, config, folder)
            losses = logged_losses(folder)
            if 'not finite' in error:
                lost: dict[str, Any] = dict(diverged=error, losses=losses, metrics={})
                return self._write(variant, seed, None if resumed else start, **lost)
        weights = self._weights(variant.weights_of or variant.name, seed)
        with tempfile.TemporaryDirectory(dir=self.work_dir) as temporary:
            persons, metrics = (f'{temporary}/{n}.json' for n in ('persons', 'metrics'))
            per_person = note_persons(cfg, persons)
            write_config(config, cfg)
            words = [str(config), weights, '--work-dir', f'{temporary}/run', '--out', metrics]
            error = start_command('test', words, folder / 'ablate.log', self.threads)
            check(not error, f'{name}: the test failed ({error}); see {folder}/ablate.log')
            found: dict[str, Any] = dict(metrics=json.loads(Path(metrics).read_text()))
            if per_person:
                found['hits'] = self._note(describe(persons, cfg))
        steps = 0 if variant.weights_of else load_checkpoint_file(weights)['meta']['iter']
        found.update(losses=losses, steps=steps)
        return self._write(variant, seed, None if resumed else start, **found)

    def _weights(self, name: str, seed: int) -> str:
        path = find_latest_checkpoint(self.work_dir / f'{name}_{seed}')
        again = f'remove {self.out}/{name}_{seed}.json to train it again'
        check(path, f'{self.work_dir}/{name}_{seed}: holds no weights, which others need; {again}')
        return str(path)

    def _train(self, cfg: Config, config: Path, folder: Path) -> str:
        """Train to the end, from the last checkpoint; return the line of a loss not finite."""
        words = [str(config), '--work-dir', str(folder)]
        if find_latest_checkpoint(folder):
            words += ['--resume', 'intact']
        schedulers = cfg.get('param_scheduler') or []
        schedulers = schedulers if isinstance(schedulers, list) else [schedulers]
        if not any(str(s['type']).startswith('ReduceOnPlateau') for s in schedulers):
            words.append('--no-validate')
        error = start_command('train', words, folder / 'ablate.log', self.threads)
        fits = not error or 'not finite' in error
        check(fits, f'{folder.name}: the training failed ({error}); see {folder}/ablate.log')
        return error

    def _note(self, persons: dict[str, Any]) -> str:
        """Write the persons once for all rows; return the hits, which are a row's own."""
        hits, path = persons.pop('hits'), self.out / PERSONS
        with FileLock(self.work_dir / f'.{PERSONS}.lock'):
            if not path.exists():
                write_json(path, persons)
        same = json.loads(path.read_text()) == persons
        check(same, f'{path}: other persons than those of this row; name another --out')
        return hits

    def _write(self, variant: Variant, seed: int, start: float | None, **found: Any) -> str:
        """Write a row's result; of a resumed one, without start, the seconds are not known."""
        shared = dict(start_from=variant.start_from, weights_of=variant.weights_of)
        seconds = None if start is None else round(time.monotonic() - start, 1)
        record = dict(
            variant=variant.name, seed=seed, plan=self.plan.path, cfg_options=variant.options,
            config=self.plan.digest(variant, seed), **shared, **found, seconds=seconds,
            **machine(),
        )  # fmt: skip
        write_json(self.result(variant, seed), record)
        if 'diverged' in found:
            return f'{variant.name}, seed {seed}: {found["diverged"]}'
        figures = {k: v for k, v in found['metrics'].items() if isinstance(v, float)}
        text = ', '.join(f'{key} {value:.2f}' for key, value in figures.items())
        return f'{variant.name}, seed {seed}: {text}'


def note_persons(cfg: Config, path: str) -> bool:
    """Let the first evaluator that counts joints write every person's; tell if there is one."""
    from mspose_plugin.evaluation import metrics

    evaluators = (
        cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
    )
    for evaluator in evaluators:
        kind = getattr(metrics, str(evaluator['type']).rpartition('.')[2], None)
        if isinstance(kind, type) and issubclass(kind, metrics.PckMetric):
            evaluator['persons_file'] = path
            return True
    return False


def training(cfg: Config) -> dict[str, Any]:
    """Return what of a config says how it trains, not how it is tested."""
    content = dict(read_entries(cfg), started_from=cfg.get(STARTED_FROM))
    return {k: v for k, v in content.items() if not k.startswith(('val_', 'test_'))}


def write_config(path: Path, cfg: Config) -> Path:
    """Write a config whole, without the time that mmengine takes for its layout."""
    entries = cfg._cfg_dict.to_dict().items()
    text = ''.join(f'{key} = {pprint.pformat(v, sort_dicts=False)}\n' for key, v in entries)
    write_file(path, text.encode())
    return path


def start_command(command: str, words: list[str], log: Path, threads: int | None = None) -> str:
    """Run a sub-command in a process of its own, which ends if this one does.

    Args:
        command: such as ``'train'``.
        words: its arguments.
        log: what it prints is added to this file.
        threads: of PyTorch; None leaves them to it.

    Returns:
        Its last words if it failed, else ''.
    """
    before = log.stat().st_size if log.exists() else 0  # what earlier runs said is over
    args = (command, words, str(log), threads, os.getcwd(), dict(os.environ))
    process = context(PRELOAD).Process(target=run_command, args=args)  # type: ignore[attr-defined]
    process.start()
    process.join()
    if not process.exitcode:
        return ''
    text = log.read_bytes()[before:].decode(errors='replace') if log.exists() else ''
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith('error: ')] or lines or ['']
    return errors[-1].removeprefix('error: ') or f'status {process.exitcode}'


def run_command(
    command: str, words: list[str], log: str, threads: int | None, cwd: str, env: dict[str, str]
) -> None:
    """Be the process of :func:`start_command`."""
    os.environ.update(env)
    os.chdir(cwd)
    settle(log)
    if threads:
        torch.set_num_threads(threads)
    import mspose_command

    mspose_command.main([command, *words])


def logged_losses(folder: Path) -> dict[str, float | None]:
    """Return the logged losses of a run by step, None where one is not finite."""
    losses: dict[str, float | None] = {}
    for entry in chain(*read_logs(folder)):
        if 'loss' in entry:
            finite = math.isfinite(entry['loss'])
            losses[str(entry['step'])] = round(entry['loss'], 4) if finite else None
    return losses


def machine() -> dict[str, Any]:
    """Return what else a figure should say of its making."""
    return dict(
        commit=_commit() or f'version {installed(PROJECT)[1] or "unknown"}',
        device=_device(),
        cpus=os.cpu_count(),
        python=platform.python_version(),
        torch=torch.__version__,
        versions=dict(map(installed, PACKAGES)),  # OpenCV has four distributions
        date=time.strftime('%Y-%m-%d'),
    )


def _commit() -> str:
    """Return the project's commit; '' of an installation, whose folder may be another project's."""
    if not shutil.which('git') or Path(_git('rev-parse', '--show-toplevel')) != ROOT:
        return ''
    changed = _git('status', '--porcelain', '--untracked-files=no', '--', *COMPUTES)
    return _git('rev-parse', '--short', 'HEAD') + ('-dirty' if changed else '')


def _git(*words: str) -> str:
    command = ['git', '-C', str(ROOT), *words]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def _device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU'
