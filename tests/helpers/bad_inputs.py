"""Bad input of every kind, by the slot of a command line that it goes into.

A tool's command line has slots (``{config} {checkpoint} --out {picture}``); :data:`KINDS` has for
each a good value and what may be given in its place. ``test_tools/test_bad_inputs.py`` puts every
bad value into every slot of every tool.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import mmengine
import numpy as np
import tiny_run
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from mspose_plugin.evaluation.metrics import PCKhAUC
from mspose_plugin.utils.reference_hourglass import Bearpaw


@dataclass(frozen=True)
class Bad:
    """A bad value.

    Attributes:
        value: what the command line has in the slot; a file name is one in the folder that
            ``make`` gets.
        words: what the message has to say.
        make: ``make(path, good)`` writes the file; ``good`` is the path of
            the good one.
        file: name of the file where ``value`` is not one itself; stands in it for ``FILE``.
        late: shows at a run's end only, so that its work directory stays.
    """

    value: str
    words: str
    make: Callable[[Path, Path], object] | None = None
    file: str = ''
    late: bool = False


def write(content: str | bytes) -> Callable[[Path, Path], object]:
    """Return what writes a file of this content."""
    data = content.encode() if isinstance(content, str) else content
    return lambda path, good: path.write_bytes(data)


def save(change: Callable[[dict], object]) -> Callable[[Path, Path], object]:
    """Return what writes a changed copy of the good checkpoint; ``change`` may return another."""

    def make(path: Path, good: Path) -> None:
        checkpoint = torch.load(good, weights_only=False)
        changed = change(checkpoint)
        torch.save(checkpoint if changed is None else changed, path)

    return make


def pipe(path: Path, good: Path) -> None:
    """Make a pipe, whose reader waits for a writer."""
    os.mkfifo(path)


def folder(path: Path, good: Path) -> None:
    """Make a folder."""
    path.mkdir()


class Evil:
    """Pickles as a call of os.system."""

    def __reduce__(self):
        """Return the call."""
        return os.system, ('touch pwned',)


def _inherits(line: str) -> Callable[[Path, Path], object]:
    return lambda path, good: path.write_text(f"_base_ = '{good}'\n{line}\n")


CONFIGS = [
    Bad('nowhere.py', 'no such file'),
    Bad('empty.py', 'no ', write('')),
    Bad('syntax.py', 'cannot be read', write('model = dict(')),
    Bad('binary.py', 'cannot be read', write(bytes(range(256)))),
    Bad('utf16.py', 'cannot be read', write('a = 1'.encode('utf-16'))),
    Bad('raises.py', 'cannot be read', write('1 / 0')),
    Bad('base.py', 'cannot be read', write("_base_ = 'nowhere.py'")),
    Bad('config.txt', 'cannot be read', write('model = dict()')),
    Bad('list.json', 'cannot be read', write('[1, 2]')),
    Bad('folder.py', 'no such file', folder),
    Bad('pipe.py', 'no such file', pipe),
]
MODELS_IN_CONFIGS = [
    Bad('model.py', 'no model', write('model = 3')),
    Bad(
        'backbone.py',
        'no model',
        _inherits("model = dict(backbone=dict(_delete_=True))\nmodel['backbone'] = 'ResNet'"),
    ),
    Bad('type.py', 'NoBackbone', _inherits("model = dict(backbone=dict(type='NoBackbone'))")),
    Bad('argument.py', 'no_argument', _inherits('model = dict(head=dict(no_argument=1))')),
]
FILES = [
    Bad('nowhere.pth', 'no such file'),
    Bad('empty.pth', 'the file is empty', write('')),
    Bad('page.pth', 'not a file of torch.save', write('<!DOCTYPE html><html>log in</html>')),
    Bad('cut.pth', 'cannot be read', lambda path, good: path.write_bytes(good.read_bytes()[:2000])),
    Bad('folder.pth', 'no such file', folder),
    Bad('pipe.pth', 'no such file', pipe),
    Bad('evil.pth', 'refused', save(lambda checkpoint: checkpoint.update(meta=Evil()))),
    Bad('abc://x/y.pth', 'scheme'),
    Bad('mmcls://nowhere', 'nowhere'),
    Bad('s3://x/y.pth', 'petrel_client'),
    Bad('http://[', 'http://['),
    Bad('hourglass://nobody', 'nobody'),
]
CHECKPOINTS = [
    *FILES,
    Bad('list.pth', 'holds a list', save(lambda checkpoint: [1, 2])),
    Bad('nothing.pth', 'does not fit the model', save(lambda checkpoint: {})),
    Bad(
        'other.pth',
        'does not fit the model',
        save(lambda checkpoint: checkpoint.update(state_dict=dict(x=torch.zeros(1)))),
    ),
    Bad(
        'one.pth',
        'does not fit the model',
        save(
            lambda checkpoint: checkpoint.update(
                state_dict=dict(list(checkpoint['state_dict'].items())[1:])
            )
        ),
    ),
]
RESUMED = [
    *(bad for bad in FILES if '://' not in bad.value),
    Bad('weights.pth', 'weights without the state', save(lambda checkpoint: None)),
    Bad('list.pth', 'holds a list', save(lambda checkpoint: [1, 2])),
]
PUBLISHED = [
    *FILES,
    Bad('other.pth', 'weights', save(lambda checkpoint: dict(x=torch.zeros(1)))),
    Bad('list.pth', 'list', save(lambda checkpoint: [1, 2])),
]
ENTRIES = {
    'common': [
        Bad('model=3', 'no model'),
        Bad('model.type=NoModel', 'NoModel'),
        Bad('model.backbone.type=NoBackbone', 'NoBackbone'),
        Bad('model.backbone.channels=many', 'in build_model'),
        Bad('model.head=None', 'in build_model'),
        Bad('model.test_cfg=3', 'in build_model'),
        Bad('model.data_preprocessor.mean=x', ''),
        Bad('work_dir=3', 'work_dir=3'),
        Bad('work_dir=abc://x', 'abc://x'),
        Bad('work_dir=/proc/run', '/proc'),
        Bad('work_dir=http://x/run', 'a folder of this machine'),
        Bad('default_hooks=3', ''),
        Bad('default_hooks.timer.type=NoHook', 'NoHook'),
        Bad('default_hooks.logger.interval=often', ''),
        Bad('custom_hooks=3', ''),
        Bad('env_cfg=3', ''),
        Bad('env_cfg.mp_cfg.mp_start_method=x', ''),
        Bad('visualizer.type=NoVisualizer', 'NoVisualizer'),
        Bad('log_processor=3', ''),
        Bad('log_level=LOUD', 'LOUD'),
        Bad('randomness.seed=x', ''),
        Bad('randomness.seed=-1', ''),
        Bad('default_scope=nowhere', ''),
        Bad('default_scope=3', ''),
        Bad('a..b=1', 'KEY=VALUE'),
        Bad('=1', 'KEY=VALUE'),
        Bad('a=[(1,2]', 'Imbalanced'),
    ],
    'split': [
        Bad('SPLIT_dataloader=None', 'SPLIT_dataloader'),
        Bad('SPLIT_dataloader=3', 'SPLIT_dataloader'),
        Bad('SPLIT_dataloader.batch_size=0', 'batch_size'),
        Bad('SPLIT_dataloader.batch_size=-1', 'batch_size'),
        Bad('SPLIT_dataloader.batch_size=many', ''),
        Bad('SPLIT_dataloader.num_workers=-1', 'num_workers'),
        Bad('SPLIT_dataloader.num_workers=some', ''),
        Bad('SPLIT_dataloader.sampler.type=NoSampler', 'NoSampler'),
        Bad('SPLIT_dataloader.sampler=3', ''),
        Bad('SPLIT_dataloader.no_argument=3', 'no_argument'),
        Bad('SPLIT_dataloader.dataset=3', ''),
        Bad('SPLIT_dataloader.dataset.type=NoDataset', 'NoDataset'),
        Bad('SPLIT_dataloader.dataset.type=CocoDataset', ''),
        Bad('SPLIT_dataloader.dataset.type=FlicDataset', ''),
        Bad('SPLIT_dataloader.dataset.no_argument=3', 'no_argument'),
        Bad('SPLIT_dataloader.dataset.pipeline=3', ''),
        Bad('SPLIT_dataloader.dataset.pipeline.0.type=NoTransform', 'NoTransform'),
        Bad('SPLIT_dataloader.dataset.data_root=nowhere', 'does not exist'),
        Bad('SPLIT_dataloader.dataset.data_root=3', ''),
        Bad('SPLIT_dataloader.dataset.data_root=my data', 'my data/'),
        Bad('SPLIT_dataloader.dataset.data_prefix.img=3', ''),
        Bad('SPLIT_dataloader.dataset.ann_file=nowhere.json', 'does not exist'),
        Bad('SPLIT_dataloader.dataset.ann_file=3', ''),
        Bad('SPLIT_dataloader.dataset.ann_file=annotations', ''),
        Bad('SPLIT_dataloader.dataset.ann_file=/dev/null', '/dev/null'),
        *(
            Bad('SPLIT_dataloader.dataset.ann_file=FILE', name, make, name)
            for name, make in (
                ('cut.json', write('[{')),
                ('dict.json', write('{}')),
                ('number.json', write('3')),
                ('persons.json', write('[1, 2]')),
                ('binary.json', write(bytes(range(256)))),
                ('utf16.json', write('[]'.encode('utf-16'))),
                ('none.json', write('[]')),
                ('deep.json', write('[' * 100000)),
                ('pipe.json', pipe),
            )
        ),
    ],
    'evaluator': [
        Bad('SPLIT_evaluator=None', 'SPLIT_evaluator'),
        Bad('SPLIT_evaluator=3', ''),
        Bad('SPLIT_evaluator=[]', 'SPLIT_evaluator'),
        Bad('SPLIT_evaluator.type=NoMetric', 'NoMetric'),
        Bad('SPLIT_evaluator.no_argument=3', 'no_argument'),
        Bad('SPLIT_evaluator.type=CocoMetric', ''),
    ],
    'loop': [
        Bad('SPLIT_cfg=3', ''),
        Bad('SPLIT_cfg.type=NoLoop', 'NoLoop'),
    ],
    'training': [
        Bad('train_cfg=None', 'train_cfg'),
        Bad('train_cfg.max_epochs=0', 'max_epochs'),
        Bad('train_cfg.max_epochs=-1', 'max_epochs'),
        Bad('train_cfg.max_epochs=long', ''),
        Bad('train_cfg.max_epochs=1.5', 'max_epochs'),
        Bad('train_cfg.val_interval=0', 'val_interval'),
        Bad('train_cfg.val_interval=x', ''),
        Bad('train_cfg.type=NoLoop', 'build_train_loop'),
        Bad('optim_wrapper=None', 'optim_wrapper'),
        Bad('optim_wrapper=3', ''),
        Bad('optim_wrapper.type=NoWrapper', 'NoWrapper'),
        Bad('optim_wrapper.optimizer=3', ''),
        Bad('optim_wrapper.optimizer.type=NoOptimizer', 'build_optim_wrapper'),
        Bad('optim_wrapper.optimizer.lr=abc', ''),
        Bad('optim_wrapper.optimizer.lr=-1', ''),
        Bad('optim_wrapper.optimizer.momentum=x', ''),
        Bad('optim_wrapper.clip_grad=3', ''),
        Bad('optim_wrapper.accumulative_counts=0', ''),
        Bad('param_scheduler=3', ''),
        Bad('param_scheduler.0.type=NoScheduler', 'NoScheduler'),
        Bad('param_scheduler.0.factor=x', ''),
        Bad('param_scheduler.1.milestones=x', "milestones='x'"),
        Bad('param_scheduler.1.milestones=3', 'build_param_scheduler'),
        Bad('default_hooks.checkpoint.interval=x', 'interval'),
        Bad('default_hooks.checkpoint.save_best=3', ''),
        Bad('auto_scale_lr=3', ''),
        Bad('load_from=nowhere.pth', 'nowhere.pth'),
        Bad('load_from=3', ''),
        Bad('resume=maybe', 'resume'),
    ],
}
"""Config entries that no run goes with, for ``--cfg-options``."""


def entries(split: str, *names: str) -> list[Bad]:
    """Return these of :data:`ENTRIES`, with ``SPLIT`` filled in."""
    return [
        replace(
            bad, value=bad.value.replace('SPLIT', split), words=bad.words.replace('SPLIT', split)
        )
        for name in names
        for bad in ENTRIES[name]
    ]


def _places(ending: str) -> list[Bad]:
    """Where nothing can be written, whoever asks; the superuser may write into a read-only one."""
    return [
        Bad(
            f'below/file{ending}',
            'nothing can be written',
            lambda path, good: path.parent.write_text('a file where a folder should be'),
        ),
        Bad(f'/proc/file{ending}', 'nothing can be written'),
        Bad(f'folder{ending}', 'this is a folder', folder),
        Bad(
            f'full{ending}',
            'No space left',
            lambda path, good: path.symlink_to('/dev/full'),
            late=True,
        ),
        Bad('folder', 'ending in', folder),
        Bad('file.xyz', 'ending in'),
        Bad('noending', 'ending in'),
        Bad(f'abc://file{ending}', 'scheme'),
        Bad(f'http://localhost/file{ending}', 'nothing can be written'),
        Bad('', 'ending in'),
    ]


def _numbers(*values: str) -> list[Bad]:
    return [Bad(value, f"'{value}'") for value in values]


def _coco(key: str, value: list) -> Callable[[Path, Path], object]:
    """Return what writes the good annotations with another part."""
    return lambda path, good: path.write_text(
        json.dumps({**json.loads(good.read_text()), key: value})
    )


KINDS: dict[str, tuple[str, list[Bad]]] = {
    'config': ('good.py', CONFIGS),
    'model': ('good.py', CONFIGS + MODELS_IN_CONFIGS),
    'checkpoint': ('good.pth', CHECKPOINTS),
    'resumed': ('good.pth', RESUMED),
    'published': ('good_published.pth', PUBLISHED),
    'plan': (
        'good_plan.py',
        [
            *CONFIGS,
            Bad('none.py', 'variants', write('a = 1')),
            Bad('number.py', 'variants', write('variants = 3')),
        ],
    ),
    'training': (
        'train_cfg.max_epochs=1',
        entries('train', 'common', 'split', 'training') + entries('val', 'evaluator', 'loop'),
    ),
    'testing': ('a=1', entries('test', 'split', 'evaluator', 'loop')),
    'calibration': ('a=1', entries('val', 'evaluator')),
    'weights': ('out.pth', _places('.pth')[:4] + _places('.pth')[7:9]),
    'pickle': ('out.pkl', _places('.pkl')),
    'named': (  # by MMPose's inferencer, which says it in its own words
        'good.py',
        [replace(bad, words=bad.value) for bad in CONFIGS + MODELS_IN_CONFIGS],
    ),
    'image': (
        'mpii/images/000000000.png',
        [
            Bad('nowhere.jpg', 'nowhere.jpg'),
            Bad('empty.jpg', 'empty.jpg', write('')),
            Bad('page.jpg', 'page.jpg', write('<!DOCTYPE html>')),
            Bad('pipe.jpg', 'pipe.jpg', pipe),
            Bad('abc://x/y.jpg', 'abc'),
        ],
    ),
    'annotations': (
        'good_coco.json',
        [
            Bad('nowhere.json', 'not found'),
            Bad('empty.json', 'is empty', write('')),
            Bad('cut.json', 'is not JSON', write('{"images": [')),
            Bad('binary.json', 'is not JSON', write(bytes(range(256)))),
            Bad('folder.json', 'is not a file', folder),
            Bad('list.json', 'COCO', write('[]')),
            Bad('parts.json', 'COCO', write('{"images": [], "annotations": 3, "categories": []}')),
            Bad('nobody.json', 'no category has', _coco('categories', [dict(id=1)])),
            Bad('names.json', 'list of names', _coco('categories', [dict(id=1, keypoints=3)])),
            Bad(
                'bone.json',
                'by number from 1',
                _coco('categories', [dict(id=1, keypoints=['a'], skeleton=[[1, 2]])]),
            ),
        ],
    ),
    'images_of': (
        'mpii/images',
        [Bad('nowhere', 'not found'), Bad('file', 'not found', write('x'))],
    ),
    'run': (
        'good_run',
        [
            Bad('nowhere', 'no */vis_data/scalars.json'),
            Bad('file', 'no */vis_data/scalars.json', write('')),
        ],
    ),
    'curve': (
        'good.json',
        [
            Bad('nowhere.json', 'nowhere.json'),
            Bad('empty.json', 'empty', write('')),
            Bad('page.json', 'not JSON', write('<!DOCTYPE html>')),
            Bad('list.json', 'curve_file', write('[1]')),
            Bad(
                'short.json',
                'curve_file',
                write('{"thresholds": [], "joints": {}, "labelled": {}}'),
            ),
        ],
    ),
    'dump': (
        'good.pkl',
        [
            Bad('nowhere.pkl', 'nowhere.pkl'),
            Bad('empty.pkl', 'empty', write('')),
            Bad('page.pkl', 'cannot be read', write('<!DOCTYPE html>')),
            Bad('number.pkl', 'no list of predictions', write(pickle.dumps(3))),
            Bad('none.pkl', 'no list of predictions', write(pickle.dumps([]))),
            Bad('other.pkl', 'not as mspose test --dump', write(pickle.dumps([dict(a=1)]))),
            Bad('evil.pkl', 'refused', lambda path, good: path.write_bytes(pickle.dumps(Evil()))),
            Bad(
                'cut.pkl',
                'cannot be read',
                lambda path, good: path.write_bytes(good.read_bytes()[:300]),
            ),
        ],
    ),
    'layout': ('mpii', _numbers('lsp', '')),
    'quality': ('90', _numbers('0', '101', 'good')),
    'images': ('3', _numbers('-1', '1.5', 'many', '100000000000')),
    'pixels': ('64', _numbers('0', '-1', 'big') + [Bad('5', 'size'), Bad('99999', 'size')]),
    'persons': ('4', _numbers('1', 'x')),
    'factor': ('1.2', _numbers('-1', 'nan', 'x') + [Bad('0', 'positive')]),
    'anyseed': ('0', _numbers('-1', 'x')),
    'share': ('0.1', _numbers('-1', '2', 'nan', 'x')),
    'picture': ('out.png', _places('.png')),
    'json': ('out.json', _places('.json')),
    'script': ('out.torchscript', _places('.torchscript')),
    'folder': (
        'out',
        [
            Bad(
                'below/folder',
                'nothing can be written',
                lambda path, good: path.parent.write_text('a file where a folder should be'),
            ),
            Bad('/proc/folder', 'nothing can be written'),
            Bad('http://localhost/folder', 'expected a folder of this machine'),
        ],
    ),
    'count': ('2', _numbers('0', '-1', 'two', '1.5', 'nan', '')),
    'size': ('64', _numbers('0', '-1', '5', 'big', '1000000')),
    'seed': ('0', _numbers('-1', 'x', '4294967296')),
    'fraction': ('0.5', _numbers('-1', '2', 'nan', 'x')),
    'device': ('cpu', [Bad('abacus', 'abacus'), Bad('cuda:99', 'cuda:99')]),
    'option': ('a=1', [Bad('a', 'KEY=VALUE'), Bad('default_hooks.logger.interval.x=1', 'error')]),
}
"""Slot: its good value, and the bad ones."""
ARGUMENT_TYPES = {
    'picture',
    'json',
    'script',
    'folder',
    'count',
    'size',
    'seed',
    'fraction',
    'device',
    'share',
    'pickle',
}
"""Slots that an argument type of ``mspose_plugin.cli.arguments`` checks, wherever they are."""


def write_good(where: Path) -> None:
    """Write the files that the good values name.

    Args:
        where: folder; gets files ``good…`` and data in ``mpii/``.
    """
    config = tiny_run.write_config(where / 'good.py', tiny_run.write_mpii(where / 'mpii'), MSR)
    init_default_scope('mmpose')
    model = MODELS.build(Config.fromfile(config).model)
    torch.save(dict(state_dict=model.state_dict(), meta={}), where / 'good.pth')
    torch.save(
        Bearpaw(1, width=16, keypoints=16, depth=2).state_dict(), where / 'good_published.pth'
    )
    write_results(where / 'good.pkl', where / 'good.json')
    (where / 'good_plan.py').write_text(f"_base_ = '{config}'\nvariants = dict()\n")
    person = dict(id=1, image_id=1, category_id=1, keypoints=[40, 40, 2], num_keypoints=1)
    person.update(bbox=[10, 10, 60, 60], area=3600)
    coco = dict(
        images=[dict(id=1, file_name='000000000.png', width=96, height=96)],
        annotations=[person],
        categories=[dict(id=1, name='tool', keypoints=['tip'])],
    )
    (where / 'good_coco.json').write_text(json.dumps(coco))
    scalars = where / 'good_run/20260101/vis_data/scalars.json'
    scalars.parent.mkdir(parents=True)
    scalars.write_text('{"epoch": 1, "iter": 1, "step": 1, "loss": 2.0, "lr": 0.1}')


def write_results(dump: Path, curve: Path, deviation: float = 4.0, count: int = 30) -> None:
    """Write what a test run leaves: predictions of random people, and their curve.

    Args:
        dump: file of the predictions.
        curve: file of the curve.
        deviation: of the predictions, in pixels. Defaults to 4.
        count: of persons. Defaults to 30.
    """
    rng = np.random.default_rng(0)
    samples = []
    for _ in range(count):
        truth = rng.uniform(0, 90, (1, 16, 2))
        pred = truth + rng.normal(0, deviation, truth.shape)
        pred[:, ::5] = truth[:, [5, 0, 15, 10]]  # of which some are the other side's
        samples.append(
            dict(
                pred_instances=dict(keypoints=pred, keypoint_scores=np.ones((1, 16))),
                gt_instances=dict(
                    keypoints=truth,
                    keypoints_visible=np.ones((1, 16), int),
                    head_size=np.array([[10.0]]),
                ),
                gt_instance_labels=dict(keypoint_weights=torch.ones(1, 16)),
            )
        )
    mmengine.dump(samples, dump)
    metric = PCKhAUC(curve_file=str(curve))
    metric.process(None, samples)
    metric.evaluate(count)


MSR = """
dataset_type = 'ZeroBasedMpiiDataset'  # for MMPose's inferencers
model['backbone'].update(context='image')
model['head'].update(type='MSRHead', channels=8, context_channels=3)
"""


def copy_good(good: Path, where: Path) -> None:
    """Put the good files, small ones as copies, into a folder."""
    for name in ('good.py', 'good.pth'):
        shutil.copy(good / name, where / name)
