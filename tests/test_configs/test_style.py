"""Configs edit parts by name, inherit through short chains and write no pipeline twice."""

import ast
import re
from pathlib import Path

import mmpose
import pytest
from mmpose.registry import TRANSFORMS

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ('configs', 'tools/plans')
    for path in (ROOT / folder).rglob('*.py')
)
LONGEST_CHAIN = dict(configs=5, tools=7)  # files, with MMPose's; a plan may stand on another one
INDEX_IN_OPTION = re.compile(r'\.\d+(\.|$)')
"""An index in the name of a config option, such as ``pipeline.5.encoder``."""


def bases(path: Path) -> list[str]:
    """Return the entries of a config's ``_base_``."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == '_base_':
            found = ast.literal_eval(node.value)
            return [found] if isinstance(found, str) else found
    return []


def chain(path: Path) -> list[Path]:
    """Return the longest way from a config to a file without ``_base_``."""
    chains = [
        [Path(base)] if base.startswith('mmpose::') else chain((path.parent / base).resolve())
        for base in bases(path)
    ]
    return [path, *max(chains, key=len, default=[])]


def edits_by_place(source: str) -> list[str]:
    """Return the lines that change an inherited part in place, or go by an index."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Assign, ast.AugAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            bad = any(isinstance(target, (ast.Attribute, ast.Subscript)) for target in targets)
        elif isinstance(node, ast.Subscript):
            bad = not isinstance(node.slice, ast.Constant) or isinstance(node.slice.value, int)
        elif isinstance(node, ast.Expr):  # _base_.x.update(…)
            bad = isinstance(node.value, ast.Call)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            bad = INDEX_IN_OPTION.search(node.value)
        else:
            continue
        if bad:
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize('config', CONFIGS)
def test_parts_are_changed_by_name(config):
    assert not edits_by_place((ROOT / config).read_text())


@pytest.mark.parametrize(
    'line',
    [
        '_base_.train_pipeline[4].input_size = size',
        '_base_.param_scheduler[0].monitor = "PCK"',
        '_base_.default_hooks.checkpoint.save_best = "PCK"',
        '_base_.train_dataloader.dataset.pipeline.insert(5, masking)',
        'train_pipeline = [*_base_.train_pipeline[:5], masking, *_base_.train_pipeline[5:]]',
        'stages = [_base_.default_hooks.stages.stages[-1]]',
        'options = {"train_dataloader.dataset.pipeline.5.encoder": codec}',
    ],
)
def test_what_is_an_edit_by_place(line):
    assert edits_by_place(line)


@pytest.mark.parametrize('config', CONFIGS)
def test_chains_are_short(config):
    assert len(chain(ROOT / config)) <= LONGEST_CHAIN[config.partition('/')[0]]


@pytest.mark.parametrize('config', [c for c in CONFIGS if '/_base_/pipelines/' not in c])
def test_pipelines_are_written_in_one_place(config):
    """Everything else takes the parts by their names."""
    types = [
        keyword.value.value
        for node in ast.walk(ast.parse((ROOT / config).read_text()))
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == 'type' and isinstance(keyword.value, ast.Constant)
    ]
    assert not [name for name in types if TRANSFORMS.get(name)]


def test_no_file_of_ours_is_taken_for_mmpose_s():
    """MMPose looks for ``configs/_base_/datasets/coco.py``, its joints, in the current folder."""
    theirs = Path(mmpose.__file__).parent / '.mim/configs/_base_/datasets'
    ours = ROOT / 'configs/_base_/datasets'
    names = {path.name for path in theirs.iterdir()}
    assert 'coco.py' in names and not names & {path.name for path in ours.iterdir()}
