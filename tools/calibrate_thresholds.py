"""Find the thresholds of conditional testing: ``calibrate_thresholds.py CONFIG CHECKPOINT``.

Runs the validation set once, without conditional testing, and writes a JSON file for
``tools/test.py CONFIG CHECKPOINT --cfg-options model.test_cfg.conditional.thresholds=FILE`` (with
``model.type=ConditionalTopdownPoseEstimator``). Flip testing and ``test_cfg.multi_scale`` stay as
the config has them, since they change the confidences: calibrate and test with the same.
"""
import argparse
import os.path as osp

try:
    import mspose_plugin  # noqa: F401  adapts the installed releases before they are imported
except ImportError as e:
    raise SystemExit(f'error: {e}') from None

from mmengine.dist import is_main_process
from mmengine.runner import Runner

from mspose_plugin import cli
from mspose_plugin.errors import InputError
from mspose_plugin.evaluation.calibration import CRITERIA


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Find the thresholds of conditional testing')
    cli.add_common_arguments(parser)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', default='thresholds.json', help='file to write (default: '
                        'thresholds.json)')
    parser.add_argument('--criterion', choices=CRITERIA, default='f1', help='what the keypoint '
                        'thresholds maximise, or precision: what they reach (default: f1)')
    parser.add_argument('--precision', type=float, default=0.9, help='share of found keypoints '
                        'among those above the threshold (default: 0.9)')
    parser.add_argument('--min-count', type=int, default=10, help='found and missed instances that '
                        'a keypoint needs for a threshold of its own (default: 10)')
    parser.add_argument('--recall', type=float, default=0.999, help='share of found keypoints that '
                        'the score threshold of trials lets through (default: 0.999)')
    return parser.parse_args()


def main() -> None:
    """Run the validation set and write the thresholds."""
    args = parse_args()
    if not args.out.endswith('.json'):
        raise InputError(f'--out {args.out}: expected a file name ending in .json')
    cfg = cli.load_config(args)
    if '://' not in args.checkpoint and not osp.isfile(args.checkpoint):
        raise InputError(f'checkpoint {args.checkpoint}: no such file; check the path')
    if not cfg.get('val_dataloader') or not cfg.get('val_evaluator'):
        raise InputError(f'config {args.config}: no val_dataloader and val_evaluator, which say '
                         'what to calibrate on')
    cfg.load_from = args.checkpoint
    test_cfg = cfg.model.get('test_cfg') or {}
    test_cfg.pop('conditional', None)
    provenance = dict(config=args.config, checkpoint=args.checkpoint,
                      cfg_options={k: str(v) for k, v in args.cfg_options.items()},
                      flip_test=bool(test_cfg.get('flip_test')),
                      multi_scale=test_cfg.get('multi_scale'))
    cfg.test_dataloader, cfg.test_cfg = cfg.val_dataloader, dict()
    cfg.test_evaluator = dict(
        type='ThresholdCalibration', evaluator=cfg.val_evaluator, out_file=args.out,
        criterion=args.criterion, precision=args.precision, min_count=args.min_count,
        recall=args.recall, provenance=provenance)
    cli.check_data(cfg, 'test')
    Runner.from_cfg(cfg).test()
    if is_main_process():
        print(f'wrote {args.out}; use it with --cfg-options '
              'model.type=ConditionalTopdownPoseEstimator '
              f'model.test_cfg.conditional.thresholds={args.out}')


if __name__ == '__main__':
    cli.run(main)
