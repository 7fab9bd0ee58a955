"""The whole path in one command: synthetic people, training, evaluation, pictures.

``python tools/demo.py``, which is ``make demo``, for MSSPose, and ``python tools/demo.py mlpe``,
which is ``make demo-mlpe``, for MLPE. Leaves the data, the run, ``predictions.png`` and
``summary.json`` (metrics, seed, seconds of every step) in ``work_dirs/demo`` or
``work_dirs/demo_mlpe``.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from mspose_plugin.cli import common as cli
from mspose_plugin.engine.optim_wrappers.autocast_optim_wrapper import fast_bfloat16
from mspose_plugin.utils import untrained
from mspose_plugin.utils.files import check_writable_folder

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Demo:
    """What one demo consists of.

    Attributes:
        config (str): config file, from the repository's root.
        folder (str): where its config expects ``data/``, from the working directory.
        layout (str): of the data.
        train (tuple[int, int]): number of training images, on a machine with bfloat16 and on a
            CPU without, where a step takes twice as long.
        val (int): number of unseen images.
        says (str): the last line, a format of the summary's entries and ``val``.
        tests (dict[str, list[str]]): config options of every evaluation by its entry in the
            summary.
    """

    config: str
    folder: str
    layout: str
    train: tuple[int, int]
    val: int
    says: str
    tests: dict[str, list[str]] = field(default_factory=lambda: dict(metrics=[]))


_DETECTIONS = (
    'test_dataloader.dataset.bbox_file=work_dirs/demo_mlpe/data/'
    'person_detection_results/COCO_val2017_detections_AP_H_56_person.json'
)
DEMOS = dict(
    msspose=Demo(
        'configs/demo/msspose_synthetic.py',
        'work_dirs/demo',
        'mpii',
        (16000, 9000),
        1000,
        'PCKh@0.5 on {val} unseen synthetic people: {metrics[PCKh]:.1f}',
    ),
    mlpe=Demo(
        'configs/demo/mlpe_synthetic.py',
        'work_dirs/demo_mlpe',
        'coco',
        (6000, 3000),
        300,
        'AP on {val} unseen images of synthetic people: {metrics[coco/AP]:.3f} with ground-truth '
        'boxes, {metrics_detections[coco/AP]:.3f} with the detector\'s',
        dict(metrics=[], metrics_detections=[_DETECTIONS]),
    ),
)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = cli.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        'demo', nargs='?', default='msspose', choices=list(DEMOS), help='method (default: msspose)'
    )
    parser.add_argument(
        '--train',
        type=cli.positive_int,
        help='training images (default: what takes about ten minutes on two cores)',
    )
    parser.add_argument(
        '--val',
        type=cli.positive_int,
        help='unseen images to evaluate on '
        '(default: ' + ', '.join(f'{name} {demo.val}' for name, demo in DEMOS.items()) + ')',
    )
    parser.add_argument(
        '--seed', type=cli.seed, default=0, help='of data and training (default: 0)'
    )
    parser.add_argument(
        '--difficulty',
        default='normal',
        choices=['easy', 'normal', 'hard'],
        help='of the data (default: normal)',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='change entries of the config',
    )
    return parser.parse_args()


def check(demo: Demo, options: list[str]) -> None:
    """Refuse what would end a later step, before the data are made.

    Args:
        demo: what will be run.
        options: the config options of all steps.

    Raises:
        InputError: options that do not go with the config, a folder that takes no files.
    """
    check_writable_folder(demo.folder)
    parser = cli.ArgumentParser(prog='demo.py')
    cli.add_config_arguments(parser)
    args = parser.parse_args(['--cfg-options', *options])
    args.config = str(ROOT / demo.config)
    untrained.check(cli.load_config(args))


def main() -> None:
    """Run every step as a user would and sum up."""
    args = parse_args()
    demo = DEMOS[args.demo]
    options = [f'randomness.seed={args.seed}', *args.cfg_options]
    check(demo, options)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    train = args.train or demo.train[0 if fast_bfloat16(device) else 1]
    val = args.val or demo.val
    root, config = Path(demo.folder), ROOT / demo.config
    data, run, picture = root / 'data', root / 'run', root / 'predictions.png'
    start, seconds = time.monotonic(), {}
    # Threads that wait for each other by spinning bring the training to a halt as soon as the
    # cores have anything else to do, such as loading data.
    environment = {'GOMP_SPINCOUNT': '10000', **os.environ}

    def step(name: str, tool: str, *arguments: object) -> None:
        print(f'\n== {name}', flush=True)
        begin = time.monotonic()
        done = subprocess.run(
            [sys.executable, ROOT / 'tools' / tool, *map(str, arguments)], env=environment
        )
        if done.returncode:
            sys.exit(done.returncode)
        seconds[name] = round(time.monotonic() - begin, 1)

    step(
        'data',
        'make_synthetic.py',
        '--layout',
        demo.layout,
        '--out',
        data,
        '--train',
        train,
        '--val',
        val,
        '--seed',
        args.seed,
        '--difficulty',
        args.difficulty,
        '--overwrite',
    )
    step('training', 'train.py', config, '--work-dir', run, '--cfg-options', *options)
    checkpoint = (run / 'last_checkpoint').read_text().strip()
    summary = dict(
        protocol=dict(
            config=demo.config,
            cfg_options=options,
            checkpoint=Path(checkpoint).name,
            data=json.loads((data / 'synthetic.json').read_text()),
        )
    )
    for name, test_options in demo.tests.items():
        step(
            f'evaluation: {name}',
            'test.py',
            config,
            checkpoint,
            '--work-dir',
            run,
            '--out',
            root / f'{name}.json',
            '--cfg-options',
            *options,
            *test_options,
        )
        summary[name] = json.loads((root / f'{name}.json').read_text())
    # the config as the training left it, with the options
    step('pictures', 'draw_grid.py', run / config.name, checkpoint, '--out', picture)

    summary.update(seconds=seconds, cpus=os.cpu_count())
    (root / 'summary.json').write_text(json.dumps(summary, indent=2) + '\n')
    print(
        f'\npictures: {picture}\nsummary: {root / "summary.json"}\n'
        f'{demo.says.format(val=val, **summary)} '
        f'({(time.monotonic() - start) / 60:.1f} minutes)'
    )


if __name__ == '__main__':
    cli.run(main)
