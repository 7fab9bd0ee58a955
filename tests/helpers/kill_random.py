"""Kill trainings at random moments and see what ``--resume`` makes of it.

``python tests/helpers/kill_random.py --trials 100 --processes 2`` for longer than the test
does. Every trial continues the training of the one before and is killed (SIGKILL) while it starts,
trains,
validates or saves. No finished checkpoint may be lost or unreadable, the next trial has to go on
from the last one, what is not killed has to end by itself in one line, and in the end the weights
have to be those of a training that was left alone, to the last bit.
"""

import argparse
import json
import multiprocessing
import os
import random
import re
import signal
import tempfile
import time
from collections import Counter
from multiprocessing import forkserver
from pathlib import Path

import tiny_run
import torch

from mspose_plugin.checkpoint.loading import load_checkpoint_file

RESUMED = re.compile(r'resumed epoch: (\d+), iter: (\d+)')
PATIENCE = 120  # seconds until something counts as hanging


def epochs_on_disk(work: Path) -> list[int]:
    """Return the epochs whose checkpoint has its name."""
    return sorted(int(p.stem.split('_')[1]) for p in work.glob('epoch_*.pth'))


def finished_epochs(work: Path) -> list[int]:
    """Return the same when no run is at work; every checkpoint must be readable."""
    for path in work.glob('*.pth'):
        assert path.name.startswith('.') or 'state_dict' in load_checkpoint_file(path), path
    return epochs_on_disk(work)


def weights(work: Path, epoch: int) -> dict:
    """Return the weights and optimizer state after an epoch."""
    checkpoint = load_checkpoint_file(work / f'epoch_{epoch}.pth')
    momentum = {i: s['momentum_buffer'] for i, s in checkpoint['optimizer']['state'].items()}
    return {**checkpoint['state_dict'], **momentum}


class Trials:
    """A chain of killed trainings in ``folder``, in one process or several.

    Args:
        config: of :func:`tiny_run.write_config`.
        folder: for the runs.
        processes: that train together; one of them is killed. Defaults to 1.
        seed: of the moments. Defaults to 0.
    """

    def __init__(self, config: Path, folder: Path, processes: int = 1, seed: int = 0) -> None:
        self.config, self.folder, self.count = config, folder, processes
        self.work, self.rng = folder / 'run', random.Random(seed)
        self.seen = Counter(
            trials=0,
            unreadable=0,
            lost=0,
            tracebacks=0,
            hangs=0,
            resumed_elsewhere=0,
            not_one_line=0,
        )
        self.epoch = 0

    def start(self, work: Path, *args: str) -> list:
        """Start a training; standard error goes to ``err.txt``, or ``err0.txt`` …"""
        argv = [tiny_run.TRAIN, self.config, '--work-dir', work, *args]
        if self.count == 1:
            return [tiny_run.start(argv, self.folder / 'cwd')]
        common = dict(
            MASTER_ADDR='127.0.0.1', MASTER_PORT=tiny_run.free_port(), WORLD_SIZE=str(self.count)
        )
        return [
            tiny_run.start(
                [*argv, '--launcher', 'pytorch'],
                self.folder / 'cwd',
                str(i),
                RANK=str(i),
                LOCAL_RANK=str(i),
                **common,
            )
            for i in range(self.count)
        ]

    def finish(self, processes: list) -> list[tiny_run.Finished]:
        """Wait for the processes of a training; those that do not end are killed and counted."""
        deadline = time.monotonic() + PATIENCE
        for process in processes:
            process.join(max(0, deadline - time.monotonic()))
            self.seen['hangs'] += process.is_alive()
        return [
            tiny_run.finish(p, self.folder / 'cwd', 0, str(i) if self.count > 1 else '')
            for i, p in enumerate(processes)
        ]

    def trial(self) -> None:
        """Start or resume, kill, and look at what is left."""
        self.seen['trials'] += 1
        best = bool(list(self.work.glob('best_*.pth')))
        # at first, and then most of the time, let it get on before the kill
        get_on, delay = not self.epoch or self.rng.random() < 0.7, self.rng.random()
        processes = self.start(
            self.work,
            *(['--resume'] if self.epoch else []),
            '--cfg-options',
            'train_cfg.max_epochs=9999',
        )
        deadline = time.monotonic() + PATIENCE
        while (
            get_on
            and max(epochs_on_disk(self.work), default=0) <= self.epoch
            and all(p.is_alive() for p in processes)
            and time.monotonic() < deadline
        ):
            time.sleep(0.02)
        time.sleep(delay * (0.7 if get_on else 5))
        victim = self.rng.randrange(self.count)
        processes[victim].kill()
        ends = self.finish(processes)

        for i, end in enumerate(ends):
            self.seen['tracebacks'] += 'Traceback' in end.err
            lines = [line for line in end.err.splitlines() if line.startswith('error: ')]
            self.seen['not_one_line'] += (
                end.status != -signal.SIGKILL if i == victim else len(lines) != 1
            )
        resumed = [int(epoch) for epoch, _ in RESUMED.findall(ends[0].out)]
        self.seen['resumed_elsewhere'] += resumed not in ([], [self.epoch])
        try:
            epochs = finished_epochs(self.work)
        except ValueError:
            self.seen['unreadable'] += 1
            raise
        self.seen['lost'] += max(epochs, default=0) < self.epoch
        self.seen['lost'] += best and not list(self.work.glob('best_*.pth'))
        self.epoch = max(epochs, default=0)

    def same_as_undisturbed(self) -> bool:
        """Go on to an end, train once more without a kill, and compare."""
        last = self.epoch + 1
        tail = ['--cfg-options', f'train_cfg.max_epochs={last}']
        for work, *resume in ((self.work, '--resume'), (self.folder / 'calm',)):
            ends = self.finish(self.start(work, *resume, *tail))
            assert not any(end.status for end in ends), [end.err for end in ends]
        ours, theirs = weights(self.work, last), weights(self.folder / 'calm', last)
        return ours.keys() == theirs.keys() and all(
            torch.equal(ours[key], theirs[key]) for key in ours
        )


def main() -> None:
    """Run trials and print what was seen, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--trials', type=int, default=10, help='kills (default: 10)')
    parser.add_argument(
        '--processes', type=int, default=1, help='processes that train together (default: 1)'
    )
    parser.add_argument('--seed', type=int, default=0, help='of the moments (default: 0)')
    args = parser.parse_args()
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    multiprocessing.set_forkserver_preload(list(tiny_run.PRELOAD))
    forkserver.ensure_running()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = tiny_run.write_mpii(folder / 'mpii', train=4 * args.processes, val=2)
        config = tiny_run.write_config(folder / 'tiny.py', data)
        trials = Trials(config, folder, args.processes, args.seed)
        for _ in range(args.trials):
            trials.trial()
            print(f'epoch {trials.epoch}: {dict(trials.seen)}', flush=True)
        same = trials.same_as_undisturbed()
    print(
        json.dumps(
            dict(
                trials.seen,
                processes=args.processes,
                epochs=trials.epoch + 1,
                same_as_undisturbed=same,
            )
        )
    )


if __name__ == '__main__':
    main()
