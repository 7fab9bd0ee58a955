"""The whole path in one command: synthetic people, training, evaluation, pictures.

``python tools/demo.py``, which is ``make demo``. Leaves the data, the run, ``predictions.png`` and
``summary.json`` (metrics, seed, seconds of every step) in ``work_dirs/demo``.
"""
import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import torch

from mspose_plugin.engine.autocast_optim_wrapper import fast_bfloat16

ROOT = Path(__file__).resolve().parents[1]
CONFIG = 'configs/demo/msspose_synthetic.py'


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--train', type=int, help='training images (default: 16000, or 9000 on a '
                        'CPU without bfloat16, where a step takes twice as long)')
    parser.add_argument('--val', type=int, default=1000, help='unseen images to evaluate on '
                        '(default: 1000)')
    parser.add_argument('--seed', type=int, default=0, help='of data and training (default: 0)')
    parser.add_argument('--difficulty', default='normal', choices=['easy', 'normal', 'hard'],
                        help='of the data (default: normal)')
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
                        help='change entries of the config')
    return parser.parse_args()


def main() -> None:
    """Run every step as a user would and sum up."""
    args = parse_args()
    if args.train is None:
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
        args.train = 16000 if fast_bfloat16(device) else 9000
    root, config = Path('work_dirs/demo'), ROOT / CONFIG
    data, run, picture = root / 'data', root / 'run', root / 'predictions.png'
    options = [f'randomness.seed={args.seed}', *args.cfg_options]
    start, seconds = time.monotonic(), {}
    # Threads that wait for each other by spinning bring the training to a halt as soon as the
    # cores have anything else to do, such as loading data.
    environment = {'GOMP_SPINCOUNT': '10000', **os.environ}

    def step(name: str, tool: str, *arguments: object) -> None:
        print(f'\n== {name}', flush=True)
        begin = time.monotonic()
        done = subprocess.run([sys.executable, ROOT / 'tools' / tool, *map(str, arguments)],
                              env=environment)
        if done.returncode:
            sys.exit(done.returncode)
        seconds[name] = round(time.monotonic() - begin, 1)

    step('data', 'make_synthetic.py', '--layout', 'mpii', '--out', data, '--train', args.train,
         '--val', args.val, '--seed', args.seed, '--difficulty', args.difficulty, '--overwrite')
    step('training', 'train.py', config, '--work-dir', run, '--cfg-options', *options)
    checkpoint = (run / 'last_checkpoint').read_text().strip()
    step('evaluation', 'test.py', config, checkpoint, '--work-dir', run, '--out',
         root / 'metrics.json', '--cfg-options', *options)
    # the config as the training left it, with the options
    step('pictures', 'draw_grid.py', run / config.name, checkpoint, '--out', picture)

    metrics = json.loads((root / 'metrics.json').read_text())
    summary = dict(
        protocol=dict(config=CONFIG, cfg_options=options, checkpoint=Path(checkpoint).name,
                      data=json.loads((data / 'synthetic.json').read_text())),
        metrics=metrics, seconds=seconds, cpus=os.cpu_count())
    (root / 'summary.json').write_text(json.dumps(summary, indent=2) + '\n')
    print(f'\npictures: {picture}\nsummary: {root / "summary.json"}\n'
          f'PCKh@0.5 on {args.val} unseen synthetic people: {metrics["PCKh"]:.1f} '
          f'({(time.monotonic() - start) / 60:.1f} minutes)')


if __name__ == '__main__':
    main()
