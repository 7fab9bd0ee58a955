"""Evaluate a checkpoint: ``python tools/test.py CONFIG CHECKPOINT``.

Takes the arguments of MMPose's own ``tools/test.py``. Differences: missing data and a checkpoint
of another architecture are said in one line, and the log tells whose person boxes were used.
"""

import argparse
import math

try:
    import mspose_plugin  # noqa: F401  adapts the installed releases before they are imported
except ImportError as e:
    raise SystemExit(f'error: {e}') from None

import mmengine
from mmengine.config import Config
from mmengine.dist import is_main_process

from mspose_plugin.cli import common as cli
from mspose_plugin.engine.starting import StartingRunner, starting


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = cli.ArgumentParser(description='Evaluate a pose model')
    cli.add_common_arguments(parser)
    parser.add_argument('checkpoint', type=cli.checkpoint, help='checkpoint file')
    parser.add_argument(
        '--out',
        type=cli.writable_file('.json', '.yaml', '.yml', '.pkl'),
        help='write the metrics to this .json (or .yaml, .pkl) file',
    )
    parser.add_argument(
        '--dump',
        type=cli.writable_file('.pkl', '.pickle'),
        help='write the predictions to this .pkl file, for offline evaluation',
    )
    parser.add_argument('--badcase', action='store_true', help="run MMPose's bad-case analysis")
    return parser.parse_args()


def main() -> None:
    """Merge the arguments into the config and test."""
    args = parse_args()
    cfg = cli.load_config(args)
    with starting(cfg):
        test(cfg, args)


def test(cfg: Config, args: argparse.Namespace) -> None:
    """Test as the config and the command line say."""
    cli.require(cfg, 'model.type', 'test_dataloader.dataset', 'test_evaluator')
    cfg.load_from = args.checkpoint
    if args.dump:
        evaluators = cfg.test_evaluator
        cfg.test_evaluator = [
            *(evaluators if isinstance(evaluators, list) else [evaluators]),
            dict(type='DumpResults', out_file_path=args.dump),
        ]
    if args.badcase:
        analyse_bad_cases(cfg, args)
    cli.check_data(cfg, 'test')
    runner = StartingRunner.from_cfg(cfg)
    cli.log_boxes(runner, 'test')
    metrics = runner.test()
    if args.out and is_main_process():
        mmengine.dump(
            {name: plain(value) for name, value in metrics.items()},
            args.out,
            **(dict(indent=2) if args.out.endswith('.json') else {}),
        )


def analyse_bad_cases(cfg: Config, args: argparse.Namespace) -> None:
    """Switch MMPose's bad-case analysis on; drawing is then left to it."""
    cli.enable_hook(cfg, 'badcase', show=args.show, interval=args.interval)
    hook = cfg.default_hooks.badcase
    if not hook.get('metric'):
        by_loss = hook.get('metric_type', 'loss') == 'loss'
        hook.metric = cfg.model.head.loss if by_loss else cfg.test_evaluator
    cfg.default_hooks.visualization.show = False


def plain(value: object) -> object:
    """Return a metric as JSON has it: a float, or None for NaN."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    return number if math.isfinite(number) else None


if __name__ == '__main__':
    cli.run(main)
