"""Bad input of every kind, by the slot of a command line that it goes into.

A tool's command line has slots (``{config} {checkpoint} --out {picture}``); :data:`KINDS` has for
each a good value and what may be given in its place. ``test_tools/test_bad_inputs.py`` puts every
bad value into every slot of every tool.
"""
from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tiny_run
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS


@dataclass(frozen=True)
class Bad:
    """A bad value.

    Attributes:
        value (str): what the command line has in the slot; a file name is one in the folder that
            ``make`` gets.
        words (str): what the message has to say.
        make (Callable, optional): ``make(path, good)`` writes the file; ``good`` is the path of
            the good one.
    """

    value: str
    words: str
    make: Callable[[Path, Path], object] | None = None


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
        return os.system, ('touch pwned', )


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
    Bad('backbone.py', 'no model', _inherits("model = dict(backbone=dict(_delete_=True))\n"
                                             "model['backbone'] = 'ResNet'")),
    Bad('type.py', 'NoBackbone', _inherits("model = dict(backbone=dict(type='NoBackbone'))")),
    Bad('argument.py', 'no_argument', _inherits('model = dict(head=dict(no_argument=1))')),
]
CHECKPOINTS = [
    Bad('nowhere.pth', 'no such file'),
    Bad('empty.pth', 'the file is empty', write('')),
    Bad('page.pth', 'not a file of torch.save', write('<!DOCTYPE html><html>log in</html>')),
    Bad('cut.pth', 'cannot be read',
        lambda path, good: path.write_bytes(good.read_bytes()[:2000])),
    Bad('folder.pth', 'no such file', folder),
    Bad('pipe.pth', 'no such file', pipe),
    Bad('evil.pth', 'refused', save(lambda checkpoint: checkpoint.update(meta=Evil()))),
    Bad('list.pth', 'holds a list', save(lambda checkpoint: [1, 2])),
    Bad('nothing.pth', 'does not fit the model', save(lambda checkpoint: {})),
    Bad('other.pth', 'does not fit the model', save(
        lambda checkpoint: checkpoint.update(state_dict=dict(x=torch.zeros(1))))),
    Bad('one.pth', 'does not fit the model', save(
        lambda checkpoint: checkpoint.update(state_dict=dict(
            list(checkpoint['state_dict'].items())[1:])))),
    Bad('abc://x/y.pth', 'scheme'),
    Bad('mmcls://nowhere', 'nowhere'),
    Bad('s3://x/y.pth', 'petrel_client'),
    Bad('http://[', 'http://['),
]


def _places(ending: str) -> list[Bad]:
    """Where nothing can be written, whoever asks; the superuser may write into a read-only one."""
    return [
        Bad(f'below/file{ending}', 'nothing can be written',
            lambda path, good: path.parent.write_text('a file where a folder should be')),
        Bad(f'/proc/file{ending}', 'nothing can be written'),
        Bad(f'folder{ending}', 'this is a folder', folder),
        Bad(f'full{ending}', 'No space left',
            lambda path, good: path.symlink_to('/dev/full')),  # known at the end only
        Bad('folder', 'ending in', folder),
        Bad('file.xyz', 'ending in'),
        Bad('noending', 'ending in'),
        Bad(f'abc://file{ending}', 'scheme'),
        Bad(f'http://localhost/file{ending}', 'nothing can be written'),
        Bad('', 'ending in'),
    ]


def _numbers(*values: str) -> list[Bad]:
    return [Bad(value, f"'{value}'") for value in values]


KINDS: dict[str, tuple[str, list[Bad]]] = {
    'config': ('good.py', CONFIGS),
    'model': ('good.py', CONFIGS + MODELS_IN_CONFIGS),
    'checkpoint': ('good.pth', CHECKPOINTS),
    'picture': ('out.png', _places('.png')),
    'json': ('out.json', _places('.json')),
    'folder': ('out', [Bad('below/folder', 'nothing can be written', lambda path, good:
                           path.parent.write_text('a file where a folder should be')),
                       Bad('/proc/folder', 'nothing can be written')]),
    'count': ('2', _numbers('0', '-1', 'two', '1.5', 'nan', '')),
    'size': ('64', _numbers('0', '-1', '5', 'big', '1000000')),
    'seed': ('0', _numbers('-1', 'x', '4294967296')),
    'fraction': ('0.5', _numbers('-1', '2', 'nan', 'x')),
    'device': ('cpu', [Bad('abacus', 'abacus'), Bad('cuda:99', 'cuda:99')]),
    'option': ('a=1', [Bad('a', 'KEY=VALUE'), Bad('default_hooks.logger.interval.x=1', 'error')]),
}
"""Slot: its good value, and the bad ones."""
ARGUMENT_TYPES = {'picture', 'json', 'folder', 'count', 'size', 'seed', 'fraction', 'device'}
"""Slots that an argument type of ``mspose_plugin.cli`` checks, wherever they are."""


def write_good(where: Path) -> None:
    """Write the files that the good values name.

    Args:
        where (Path): folder; gets ``good.py``, ``good.pth`` and data in ``mpii/``.
    """
    config = tiny_run.write_config(where / 'good.py', tiny_run.write_mpii(where / 'mpii'), MSR)
    init_default_scope('mmpose')
    model = MODELS.build(Config.fromfile(config).model)
    torch.save(dict(state_dict=model.state_dict(), meta={}), where / 'good.pth')


MSR = """
model['backbone'].update(context='image')
model['head'].update(type='MSRHead', channels=8, context_channels=3)
"""


def copy_good(good: Path, where: Path) -> None:
    """Put the good files, small ones as copies, into a folder."""
    for name in ('good.py', 'good.pth'):
        shutil.copy(good / name, where / name)
