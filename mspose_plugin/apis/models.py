"""What there is: the configs by name, and the models of the metafiles with their weights."""

from __future__ import annotations

import os.path as osp
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import mmengine
from mmengine.config import Config

import mspose_plugin
from mspose_plugin.checkpoint.published import SCHEME, URLS
from mspose_plugin.export.formats import format_of
from mspose_plugin.export.network import file_config
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.errors import InputError

DEFAULT_MODEL = 'synthetic'
"""The model whose weights come with the package; it has seen drawn people only."""


def project_folder() -> Path | None:
    """Return the folder with ``configs/`` and ``model-index.yml``.

    It is that of a checkout, or ``.mim`` in the installed package; None where neither is there.
    """
    package = Path(mspose_plugin.__file__).parent
    for folder in (package.parent, package / '.mim'):
        if (folder / 'configs/msspose_hourglass8_mpii.py').is_file():
            return folder
    return None


def config_names() -> dict[str, Path]:
    """Return the project's configs by name, such as ``mlpe/mlpe_resnest50_256x192``."""
    folder = project_folder()
    if folder is None:
        return {}
    paths = sorted((folder / 'configs').rglob('*.py'))
    names = {p.relative_to(folder / 'configs').with_suffix('').as_posix(): p for p in paths}
    return {name: path for name, path in names.items() if not name.startswith('_base_')}


def find_config(text: str) -> str:
    """Return the path of a config file.

    Args:
        text: a path; or a name as in :func:`config_names`, whose folders may be omitted where
            only one config ends so. ``configs/NAME.py`` works everywhere, as in a checkout.

    Raises:
        InputError: neither, or several configs; the message has the nearest names.
    """
    if osp.isfile(text):
        return text
    names = config_names()
    wanted = (
        text.removeprefix('configs/').removesuffix('.py') if text.startswith('configs/') else text
    )
    found = [wanted] if wanted in names else [n for n in names if n.endswith(f'/{wanted}')]
    if len(found) == 1:
        return str(names[found[0]])
    check(not found, f'config {text}: there are several of this name: {", ".join(found)}')
    stems = {path.stem: name for name, path in names.items()}
    wanted = osp.splitext(wanted)[0]
    near = get_close_matches(wanted, names)
    near += [stems[stem] for stem in get_close_matches(osp.basename(wanted), stems)]
    hint = f'the nearest are {", ".join(dict.fromkeys(near))}' if near else 'none is similar'
    raise InputError(f'config {text}: no such file, and no config of the project; {hint}')


@dataclass(frozen=True)
class KnownModel:
    """A model of the project's metafiles.

    Args:
        name: its config's.
        alias: a short name; empty where there is none.
        config: path of the config.
        weights: path or address of its weights, None where none are published.
        results: figures as the metafile has them: ``'MPII val: PCKh@0.5 (published) 88.64'``.
    """

    name: str
    alias: str
    config: str
    weights: str | None
    results: tuple[str, ...]


def known_models() -> list[KnownModel]:
    """Read the project's metafiles."""
    folder = project_folder()
    if folder is None:
        return []
    metafiles = mmengine.load(folder / 'model-index.yml')['Import']
    return [
        KnownModel(
            entry['Name'],
            entry.get('Alias', ''),
            str(folder / entry['Config']),
            _weights(entry.get('Weights')),
            tuple(_figures(entry)),
        )
        for metafile in metafiles
        for entry in mmengine.load(folder / metafile)['Models']
    ]


def _weights(entry: str | None) -> str | None:
    """Return where a metafile's weights are loaded from.

    A publication's address becomes the one that converts it, a path of the project the package's
    own file.
    """
    if entry and '://' not in entry:
        return str(Path(mspose_plugin.__file__).parents[1] / entry)
    name = (entry or '').rpartition('/')[2].partition('-')[0]
    return SCHEME + name if name in URLS else entry


def _figures(entry: dict[str, Any]) -> list[str]:
    return [
        f'{result["Dataset"]}: ' + ', '.join(f'{k} {v}' for k, v in result['Metrics'].items())
        for result in entry.get('Results', ())
    ]


def find_model(
    name: str, weights: str | None = None, trust_code: bool = False
) -> tuple[str | Config, str | None]:
    """Return config and weights of a model.

    Args:
        name: a name or alias of :func:`known_models`, a name or path of a config, a file of
            ``mspose export``, or a name that MMPose knows, which is returned as it is.
        weights: those to take in place of the model's own. Defaults to None.
        trust_code: see :class:`~mspose_plugin.export.files.ExportedFile`. Defaults to False.

    Returns:
        Config, or its path, and address of the weights, as MMPose's inferencers take them.

    Raises:
        InputError: one of the project's configs, which has no published weights, and none given;
            or an exported file that cannot be used.
    """
    if format_of(name):
        check(not weights, f'model {name}: has its weights in it; omit {weights}')
        return file_config(name, trust_code), None
    if osp.isfile(name):
        check(weights, f'model {name}: give the weights of this config')
        return name, weights
    for model in known_models():
        if name in (model.name, model.alias):
            weights = weights or model.weights
            check(weights, f'model {name}: no weights are published; give a checkpoint')
            return model.config, weights
    if name in config_names():
        check(weights, f'model {name}: no weights are published; give a checkpoint')
        return find_config(name), weights
    return name, weights
