"""The whole path in one command: synthetic people, training, evaluation, pictures, a page.

tools/demo.py, which is make demo, for MSSPose, and tools/demo.py mlpe, which is make demo-mlpe, for
MLPE. It takes --minutes on any machine: the training gets what the other steps leave. Leaves the
data, the run, predictions.png, summary.json (metrics, seed, seconds of every step) and index.html,
which shows them, in work_dirs/demo or work_dirs/demo_mlpe.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from mspose_command import ArgumentParser
from mspose_plugin.cli import arguments
from mspose_plugin.cli.configs import load_config
from mspose_plugin.cli.running import run
from mspose_plugin.synthetic.settings import DIFFICULTIES
from mspose_plugin.utils import untrained
from mspose_plugin.utils.files import check_writable_folder, write_file, write_json

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Demo:
    """What one demo consists of.

    Attributes:
        config (str): config file, from the repository's root.
        folder (str): where its config expects ``data/``, from the working directory.
        layout (str): of the data.
        train (int): number of training images.
        val (int): number of unseen images.
        says (str): the last line, a format of the summary's entries and ``val``.
        tests (dict[str, list[str]]): config options of every evaluation by its entry in the
            summary.
    """

    config: str
    folder: str
    layout: str
    train: int
    val: int
    says: str
    tests: dict[str, list[str]] = field(default_factory=lambda: dict(metrics=[]))


_DETECTIONS = (
    'test_dataloader.dataset.bbox_file=work_dirs/demo_mlpe/data/'
    'person_detection_results/COCO_val2017_detections_AP_H_56_person.json'
)
DEMOS = dict(
    msspose=Demo(
        'configs/demo/msspose_synthetic_timed.py',
        'work_dirs/demo',
        'mpii',
        12000,
        1000,
        'PCKh@0.5 on {val} unseen synthetic people: {metrics[PCKh]:.1f}',
    ),
    mlpe=Demo(
        'configs/demo/mlpe_synthetic_timed.py',
        'work_dirs/demo_mlpe',
        'coco',
        5000,
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
        '--minutes',
        type=arguments.number(0.01, 10_000),
        default=10,
        help='for all steps together (default: 10)',
    )
    for split, what in (('train', 'training images'), ('val', 'unseen images to evaluate on')):
        defaults = ', '.join(f'{name} {getattr(demo, split)}' for name, demo in DEMOS.items())
        add(f'--{split}', type=arguments.positive_int, help=f'{what} (default: {defaults})')
    arguments.add_seed(parser, 'of data and training')
    add(
        '--difficulty',
        default='normal',
        choices=list(DIFFICULTIES),
        help='of the data (default: normal)',
    )
    # as text: every step gets them anew
    add('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='change config entries')


RESERVE = 0.12  # share of the time for starting, pictures and the page
LEAST = 0.3  # share that is left to the training at least

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>MSPose: demo</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: auto; padding: 1rem; }}
table {{ border-collapse: collapse; }} td, th {{ padding: .2rem .8rem; text-align: right; }}
th {{ border-bottom: 1px solid #999; }} img {{ max-width: 100%; }}
pre {{ background: #f4f4f4; padding: .8rem; overflow-x: auto; }}
</style>
<h1>{said}</h1>
<p>Trained for {training:.1f} minutes on {train} drawn people, evaluated on others
(difficulty {difficulty}, seed {seed}). Drawn people show that everything works together, not how
the method does on photographs.</p>
{tables}
<p><img src="predictions.png" alt="Predictions on unseen drawn people"></p>
<p>Orange is the person's right, green the left; a cross marks the true place of a joint that was
missed.</p>
<h2>Next</h2>
<pre>
# your own photograph, with these weights, and with those that come with MSPose
mspose predict photo.jpg --model {config} --weights {checkpoint}
mspose predict photo.jpg

# longer: an hour
make demo MINUTES=60

# the published networks on real data: docs/training.md
mspose train msspose_hourglass8_mpii
</pre>
</html>
"""


def page_of(said: str, summary: dict, checkpoint: Path, config: Path) -> str:
    """Return the page that shows what came out.

    Args:
        said: the result in one line.
        summary: what summary.json holds.
        checkpoint: of the training.
        config: its config, as the training left it.
    """
    tables = []
    for name in (name for name in summary if name.startswith('metrics')):
        figures = {k: v for k, v in summary[name].items() if isinstance(v, float | int)}
        head = ''.join(f'<th>{key.rpartition("/")[2]}</th>' for key in figures)
        row = ''.join(f'<td>{value:.3g}</td>' for value in figures.values())
        tables.append(f'<h2>{name}</h2><table><tr>{head}</tr><tr>{row}</tr></table>')
    data = summary['protocol']['data']
    return PAGE.format(
        said=escape(said),
        training=summary['seconds']['training'] / 60,
        tables=''.join(tables),
        config=escape(str(config)),
        checkpoint=escape(str(checkpoint)),
        **{key: data[key] for key in ('train', 'difficulty', 'seed')},
    )


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
    train, val = args.train or demo.train, args.val or demo.val
    root, config = Path(demo.folder), ROOT / demo.config
    data, work_dir, picture = root / 'data', root / 'run', root / 'predictions.png'
    start, seconds = time.monotonic(), {}
    # Threads that wait for each other by spinning bring the training to a halt as soon as the
    # cores have anything else to do, such as loading data.
    environment = {'GOMP_SPINCOUNT': '10000', **os.environ}

    def step(name: str, script: str, *arguments: object) -> None:
        print(f'\n== {name}', flush=True)
        begin = time.monotonic()
        done = subprocess.run(
            [sys.executable, ROOT / script, *map(str, arguments)], env=environment
        )
        if done.returncode:
            sys.exit(done.returncode)
        seconds[name] = round(time.monotonic() - begin, 1)

    made = ['--layout', demo.layout, '--out', data, '--train', train, '--val', val]
    drawn = ['--seed', args.seed, '--difficulty', args.difficulty, '--overwrite']
    step('data', 'tools/make_synthetic.py', *made, *drawn)
    there = ['--work-dir', work_dir]
    # drawing and evaluating take alike; what starts Python counts, too
    left = args.minutes - 2 * seconds['data'] / 60 - RESERVE * args.minutes
    minutes = max(left, LEAST * args.minutes)
    budget = f'default_hooks.time_budget.minutes={minutes:.4f}'
    step('training', 'tools/train.py', config, *there, '--cfg-options', budget, *options)
    checkpoint = (work_dir / 'last_checkpoint').read_text().strip()
    protocol = dict(
        config=demo.config,
        cfg_options=options,
        checkpoint=Path(checkpoint).name,
        data=json.loads((data / 'synthetic.json').read_text()),
    )
    summary = dict(protocol=protocol, minutes=args.minutes)
    for name, more in demo.tests.items():
        out = root / f'{name}.json'
        tested = [config, checkpoint, *there, '--out', out, '--cfg-options', *options, *more]
        step(f'evaluation: {name}', 'tools/test.py', *tested)
        summary[name] = json.loads(out.read_text())
    # the config as the training left it, with the options
    drawn = ['draw', 'predictions', work_dir / config.name, checkpoint, '--out', picture]
    step('pictures', 'mspose_command.py', *drawn)

    summary.update(seconds=seconds, cpus=os.cpu_count())
    write_json(root / 'summary.json', summary, indent=2)
    said = demo.says.format(val=val, **summary)
    page = root / 'index.html'
    write_file(
        page,
        page_of(said, summary, work_dir / Path(checkpoint).name, work_dir / config.name).encode(),
    )
    print(
        f'\npage: {page}\nsummary: {root / "summary.json"}\n'
        f'{said} ({(time.monotonic() - start) / 60:.1f} minutes)'
    )


if __name__ == '__main__':
    run(sys.modules[__name__])
