"""The whole path in one command: synthetic people, training, evaluation, pictures.

tools/demo.py, which is make demo, for MSSPose, and tools/demo.py mlpe, which is make demo-mlpe, for
MLPE. Leaves the data, the run, predictions.png and summary.json (metrics, seed, seconds of every
step) in work_dirs/demo or work_dirs/demo_mlpe.
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

from mspose_command import ArgumentParser
from mspose_plugin.cli import arguments
from mspose_plugin.cli.configs import load_config
from mspose_plugin.cli.running import run
from mspose_plugin.engine.optim_wrappers.autocast_optim_wrapper import fast_bfloat16
from mspose_plugin.synthetic.settings import DIFFICULTIES
from mspose_plugin.utils import untrained
from mspose_plugin.utils.files import check_writable_folder, write_json

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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add = parser.add_argument
    add('demo', nargs='?', default='msspose', choices=list(DEMOS), help='default: msspose')
    add(
        '--train',
        type=arguments.positive_int,
        help='training images (default: what takes about ten minutes on two cores)',
    )
    defaults = ', '.join(f'{name} {demo.val}' for name, demo in DEMOS.items())
    add(
        '--val',
        type=arguments.positive_int,
        help=f'unseen images to evaluate on (default: {defaults})',
    )
    arguments.add_seed(parser, 'of data and training')
    add(
        '--difficulty',
        default='normal',
        choices=list(DIFFICULTIES),
        help='of the data (default: normal)',
    )
    # as text: every step gets them anew
    add('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='change config entries')


def check(demo: Demo, options: list[str]) -> None:
    """Refuse what would end a later step, before the data are made.

    Args:
        demo: what will be run.
        options: the config options of all steps.

    Raises:
        InputError: options that do not go with the config, a folder that takes no files.
    """
    check_writable_folder(demo.folder)
    parser = ArgumentParser('demo.py')
    arguments.add_cfg_options(parser)
    args = parser.parse_args(['--cfg-options', *options])
    untrained.check(load_config(str(ROOT / demo.config), args.cfg_options))


def main(args: argparse.Namespace) -> None:
    """Run every step as a user would and sum up."""
    demo = DEMOS[args.demo]
    options = [f'randomness.seed={args.seed}', *args.cfg_options]
    check(demo, options)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    train = args.train or demo.train[0 if fast_bfloat16(device) else 1]
    val = args.val or demo.val
    root, config = Path(demo.folder), ROOT / demo.config
    data, work_dir, picture = root / 'data', root / 'run', root / 'predictions.png'
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

    made = ['--layout', demo.layout, '--out', data, '--train', train, '--val', val]
    drawn = ['--seed', args.seed, '--difficulty', args.difficulty, '--overwrite']
    step('data', 'make_synthetic.py', *made, *drawn)
    there = ['--work-dir', work_dir]
    step('training', 'train.py', config, *there, '--cfg-options', *options)
    checkpoint = (work_dir / 'last_checkpoint').read_text().strip()
    protocol = dict(
        config=demo.config,
        cfg_options=options,
        checkpoint=Path(checkpoint).name,
        data=json.loads((data / 'synthetic.json').read_text()),
    )
    summary = dict(protocol=protocol)
    for name, more in demo.tests.items():
        out = root / f'{name}.json'
        tested = [config, checkpoint, *there, '--out', out, '--cfg-options', *options, *more]
        step(f'evaluation: {name}', 'test.py', *tested)
        summary[name] = json.loads(out.read_text())
    # the config as the training left it, with the options
    step('pictures', 'draw_grid.py', work_dir / config.name, checkpoint, '--out', picture)

    summary.update(seconds=seconds, cpus=os.cpu_count())
    write_json(root / 'summary.json', summary, indent=2)
    print(
        f'\npictures: {picture}\nsummary: {root / "summary.json"}\n'
        f'{demo.says.format(val=val, **summary)} '
        f'({(time.monotonic() - start) / 60:.1f} minutes)'
    )


if __name__ == '__main__':
    run(sys.modules[__name__])
