"""Plans: training configs with ``variants``, the rows of an ablation, as data.

A variant is a dict of config options (``--cfg-options`` as a dict), beside which it may have:

- ``start_from``: another variant, from whose last weights of the same seed this one trains on.
- ``weights_of``: another variant, whose last weights it tests with its options; no training.
- ``against``: one or more variants that it is compared with. Default: the one above it.

A plan may also have ``seeds``, and ``synthetic``, the data set that it needs or a list of them:
``out``, the folder, and the arguments of :class:`~mspose_plugin.synthetic.dataset.Recipe`. Of
several those are made that the configs of the chosen rows name as ``data_root``.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import pprint
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock
from mmengine.config import Config
from mmengine.runner import Runner

from mspose_plugin.cli.configs import merge_options, read_config, require
from mspose_plugin.utils.checks import check, check_value, refused

SHARING = ('start_from', 'weights_of')
SEEDS = (0, 1, 2)
READ = {
    *inspect.signature(Runner.__init__).parameters,
    *('custom_imports', 'compile', 'sync_bn', 'model_wrapper_cfg', 'find_unused_parameters'),
    *('activation_checkpointing', 'efficient_conv_bn_eval'),
}
"""Entries of a config that a run reads; others are what config files compute with."""


@dataclass(frozen=True)
class Variant:
    """A row of an ablation.

    Args:
        name: of the row.
        options: what differs from the plan's config.
        start_from: name of the variant that it goes on from; None for a training of its own.
        weights_of: name of the variant whose weights it tests; None to train.
        against: names of the variants that it is compared with.
    """

    name: str
    options: dict[str, Any]
    start_from: str | None = None
    weights_of: str | None = None
    against: tuple[str, ...] = ()

    @property
    def parent(self) -> str | None:
        """The variant whose weights it needs, or None."""
        return self.start_from or self.weights_of


@dataclass(frozen=True)
class Job:
    """Rows of one seed that share weights, in the order in which they are made.

    Jobs are independent of each other.
    """

    seed: int
    variants: tuple[Variant, ...]


@dataclass(frozen=True)
class Plan:
    """What a plan file says.

    Args:
        path: of the file.
        variants: the rows, by name.
        seeds: of every row.
        synthetic: the data sets that it needs.
        shared: the config of all rows.
    """

    path: str
    variants: dict[str, Variant]
    seeds: tuple[int, ...] = SEEDS
    synthetic: tuple[dict[str, Any], ...] = ()
    shared: Config = field(default_factory=Config, repr=False, compare=False)

    def jobs(self, seeds: Sequence[int] | None = None, only: Sequence[str] = ()) -> list[Job]:
        """Return the jobs, all of a seed before the next one.

        Args:
            seeds: some seeds. Defaults to the plan's.
            only: some variants; those whose weights they need come too. Defaults to all.

        Raises:
            InputError: there is no variant of a name.
        """
        known = ', '.join(self.variants)
        for name in only:
            check(name in self.variants, f'--only {name}: {self.path} has the variants {known}')
        wanted = {name for one in only or self.variants for name in self._line(one)}
        families: dict[str, list[Variant]] = {}
        ordered = [name for name in self.variants if name in wanted]
        for name in sorted(ordered, key=lambda name: len(self._line(name))):
            families.setdefault(self._line(name)[-1], []).append(self.variants[name])
        roots = [name for name in self.variants if name in families]
        chosen = self.seeds if seeds is None else seeds
        return [Job(seed, tuple(families[root])) for seed in chosen for root in roots]

    def config(self, variant: Variant, seed: int) -> Config:
        """Return the config of a row, which is tested on its validation set."""
        options = {**deepcopy(variant.options), 'randomness.seed': seed}
        cfg = merge_options(deepcopy(self.shared), options)
        require(cfg, 'val_dataloader', 'val_evaluator')
        for key in ('dataloader', 'evaluator'):
            cfg[f'test_{key}'] = deepcopy(cfg[f'val_{key}'])
        cfg.test_cfg = cfg.get('test_cfg') or {}
        return cfg

    def digest(self, variant: Variant, seed: int) -> str:
        """Return a short word, another one for another config of a row or of those it needs."""
        line = [self.variants[name] for name in reversed(self._line(variant.name))]
        text = pprint.pformat([read_entries(self.config(v, seed)) for v in line], sort_dicts=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def make_data(self, jobs: Iterable[Job], workers: int = 1) -> None:
        """Render the synthetic people that jobs need and that are not there; others wait.

        Raises:
            InputError: a folder holds something else.
        """
        roots = {root for job in jobs for v in job.variants for root in self._data_roots(v)}
        for data in self.synthetic:
            if os.path.normpath(data['out']) in roots:
                _make_data(data, self.path, workers)

    def _data_roots(self, variant: Variant) -> set[str]:
        cfg = self.config(variant, 0)
        loaders = (cfg.get(f'{split}_dataloader') or {} for split in ('train', 'val'))
        datasets = (loader.get('dataset', {}) for loader in loaders)
        return {os.path.normpath(d['data_root']) for d in datasets if d.get('data_root')}

    def _line(self, name: str) -> list[str]:
        """A variant's name and those whose weights it needs, up to one that trains from scratch."""
        line = [name]
        while parent := self.variants[line[-1]].parent:
            line.append(parent)
            check(len(line) <= len(self.variants), f'plan {self.path}: {name} needs itself')
        return line


def read_entries(cfg: Config) -> dict[str, Any]:
    """Return the entries of a config that a run reads, sorted by name."""
    content = cfg._cfg_dict.to_dict()
    return {key: content[key] for key in sorted(READ & content.keys())}


def _make_data(data: dict[str, Any], plan: str, workers: int) -> None:
    from mspose_plugin.synthetic import Recipe, write_dataset

    out = Path(data['out'])
    with refused(f'plan {plan}: synthetic', TypeError):
        recipe = Recipe(**{key: value for key, value in data.items() if key != 'out'})
    out.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(out.parent / f'.{out.name}.lock'):
        made = out / 'synthetic.json'
        if not made.is_file():
            write_dataset(recipe, out, workers)
        manifest = json.loads(json.dumps(recipe.manifest()))
        same = json.loads(made.read_text()) == manifest
        check(same, f'{out}: holds other data than {plan} asks for; remove it')


def read_plan(path: str) -> Plan:
    """Read a plan file.

    Args:
        path: of the file.

    Raises:
        InputError: there is no such file, or an entry is not as described.
    """
    cfg = read_config(path)
    given = cfg.get('variants')
    fits = isinstance(given, dict) and all(isinstance(v, dict) for v in given.values())
    check(fits, f'plan {path}: has no variants; expected name -> config options')
    variants: dict[str, Variant] = {}
    above: tuple[str, ...] = ()
    for name, entries in cfg._cfg_dict.to_dict()['variants'].items():
        where = f'plan {path}: {name}'
        shared = {key: entries.pop(key) for key in SHARING if key in entries}
        check(len(shared) < 2, f'{where}: give start_from or weights_of, not both')
        against = entries.pop('against', above)
        against = (against,) if isinstance(against, str) else tuple(against)
        for other in (*shared.values(), *against):
            check(other in given and other != name, f'{where}: there is no other variant {other!r}')
        variants[name] = Variant(name, entries, against=against, **shared)
        above = (name,)
    seeds = cfg.get('seeds', SEEDS)
    listed = isinstance(seeds, list | tuple) and all(isinstance(s, int) and s >= 0 for s in seeds)
    numbers = 'a list of whole numbers of 0 or more'
    check_value(listed and seeds, f'plan {path}: seeds', seeds, numbers)
    data = cfg._cfg_dict.to_dict().get('synthetic') or []
    synthetic = tuple([data] if isinstance(data, dict) else data)
    check(all('out' in d for d in synthetic), f'plan {path}: synthetic: give out, the folder')
    for key in [k for k in cfg if k.startswith('_') or k in ('variants', 'seeds', 'synthetic')]:
        cfg.pop(key)  # the former are what the file itself computes with
    plan = Plan(path, variants, tuple(seeds), synthetic, cfg)
    plan.jobs()  # refuses rows that need themselves
    return plan
