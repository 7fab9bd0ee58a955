"""The networks: size, cost of a training, which of MMPose's configs run, which models there are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import yaml
from mmengine.config import Config

from mspose_plugin.cli.output import as_markdown

ROOT = Path(__file__).resolve().parents[2]


def complexity(**tables: list[dict]) -> str:
    """What ``tools/complexity.py`` writes, beside the published AP of MLPE's rows."""
    models = yaml.safe_load((ROOT / 'configs/mlpe/metafile.yml').read_text())['Models']
    paper = {
        m['Config']: result['Metrics']['AP (paper)']
        for m in models
        for result in m.get('Results', ())
        if result['Dataset'] == 'COCO val2017'
    }
    rows = []
    for row in (row for name in sorted(tables) for row in tables[name]):
        params, gmacs = (
            {part: f'{n:.2f}' for part, n in row[key].items()} for key in ('params', 'gmacs')
        )
        name = f'`{row["config"].removeprefix("configs/")}`' + ''.join(
            f', {key.rpartition(".")[2]}={value}' for key, value in row['cfg_options'].items()
        )
        rows.append(
            [
                name,
                params['total'],
                params['backbone'],
                params.get('neck', '-'),
                params['head'],
                gmacs['total'],
                gmacs['head'],
                str(paper.get(row['config'], '-')),
            ]
        )
    return as_markdown(
        [
            'config',
            'parameters, M',
            'backbone',
            'neck',
            'head',
            'GMACs',
            'of the head',
            'AP (paper)',
        ],
        rows,
    )


_PERSONS = {
    'annotations/mpii_train.json': 22_246,
    'annotations/mpii_trainval.json': 29_116,
    'examples.mat': 3_987,
    'annotations/person_keypoints_train2017.json': 149_813,
}
"""To train on. MPII's as counted in HRNet's files of the same names and format (its issue 34;
persons of the validation images are in the last one alone), FLIC's as its authors state."""
_REPRODUCED = (
    *('ablation/hourglass8_mpii', 'ablation/hourglass8_mpii_mss', 'ablation/hourglass8_mpii_msr'),
    *('ablation/hourglass8_mpii_structure-aware', 'msspose_hourglass8_mpii'),
    *('msspose/msspose_hourglass8_mpii_trainval', 'msspose/msspose_hourglass8_flic'),
    'mlpe/mlpe_resnest50_256x192_bilinear_no-enhancement',
    *('mlpe/mlpe_resnest50_256x192_bilinear', 'mlpe/mlpe_resnest50_256x192'),
    *('mlpe/mlpe_resnest50_256x192_kernel1', 'mlpe/mlpe_resnest50_384x288'),
    'mlpe/mlpe_resnest101_384x288',
)
"""Configs of the papers' tables."""
_RATE = 50e12
"""Operations a second of the training step on one GPU: made up, nobody has measured it."""


def training_cost(**tables: list[dict]) -> str:
    """What the papers' rows cost to train, from what ``tools/complexity.py`` writes.

    A backward pass counts as two forward passes of what is trained.
    """
    gmacs = {
        row['config']: row['gmacs']
        for rows in tables.values()
        for row in rows
        if not row['cfg_options']
    }
    lines = []
    for name in _REPRODUCED:
        path = f'configs/{name}.py'
        cfg = Config.fromfile(ROOT / path)
        # networks of a table differ from the main one's in losses and stages alone
        of = gmacs.get(path, gmacs['configs/msspose_hourglass8_mpii.py'])
        persons = _PERSONS[cfg.train_dataloader.dataset.ann_file]
        stages = cfg.default_hooks.get('stages', {}).get(
            'stages', [dict(epochs=cfg.train_cfg.max_epochs, train=list(of))]
        )
        operations = 0.0
        for stage in stages:
            trained = stage.get('train') or ['backbone', 'head']
            runs = of['total'] if 'head' in trained else of['backbone']
            backward = 2 * sum(of[part] for part in trained if part != 'total')
            operations += 2e9 * (runs + backward) * persons * stage['epochs']
        images = persons * cfg.train_cfg.max_epochs
        lines.append(
            [
                f'`{name.rpartition("/")[2]}`',
                str(cfg.train_cfg.max_epochs),
                f'{persons:,}',
                f'{images / 1e6:.2f}',
                f'{operations / 1e18:.2f}',
                f'{operations / _RATE / 3600:.0f}',
            ]
        )
    columns = ['config', 'epochs', 'persons', 'million images', 'exaFLOP']
    step = 6 * gmacs['configs/ablation/hourglass8_mpii_mss.py']['total']
    return as_markdown([*columns, f'hours at {_RATE / 1e12:.0f} TFLOP/s'], lines) + (
        f'\nA training step of `hourglass8_mpii_mss` takes {step:.0f} GFLOP an image.\n'
    )


def _counts(report: dict) -> Counter:
    """How many of MMPose's configs run, build only, and fail."""
    return Counter(row['state'] for row in report['configs'].values())


def _versions(report: dict, *names: str) -> str:
    return ', '.join(f'{name} {report["versions"][name]}' for name in names or report['versions'])


def zoo_total(newest: dict) -> str:
    """The first line of :func:`zoo`, for the README."""
    counts = _counts(newest)
    return (
        f'**{counts["runs"]} of the {counts.total()} configs that MMPose publishes build and '
        f'predict** ({_versions(newest, "torch", "numpy", "mmcv-lite")}; [table](docs/zoo.md)).\n'
    )


def zoo(**reports: dict) -> str:
    """What ``mspose check-env --zoo --json`` writes, a file for each stack."""
    parts = []
    for report in reports.values():
        found, counts = report['configs'], _counts(report)
        kinds: dict[str, Counter] = {}
        for name, row in found.items():
            kinds.setdefault('/'.join(name.split('/')[:2]), Counter())[row['state']] += 1
        rows = [
            [f'`{kind}`', *map(str, (c.total(), c.total() - c['fails'], c['runs']))]
            for kind, c in sorted(kinds.items())
        ]
        reasons = Counter(row['why'] for row in found.values() if row['why']).most_common()
        parts += [
            f'{counts["runs"]} of {counts.total()} configs run, '
            f'{counts.total() - counts["fails"]} build, on {report["device"]} with '
            f'{_versions(report)}.\n\n',
            as_markdown(['configs', 'all', 'build', 'run'], rows),
        ]
        if reasons:
            parts += [
                '\n',
                as_markdown(['why not', 'configs'], [[w, str(n)] for w, n in reasons]),
            ]
    return ''.join(parts)


def models() -> str:
    """Every entry of the metafiles: what ``mspose models`` lists, with the figures' labels."""
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    parts = []
    for metafile in (yaml.safe_load((ROOT / name).read_text()) for name in index['Import']):
        for entry in metafile['Models']:
            figures = [
                f'{result["Dataset"]}: '
                + ', '.join(f'{name} {value}' for name, value in result['Metrics'].items())
                for result in entry.get('Results', ())
            ]
            weights = entry.get('Weights', '')
            if '://' in weights:
                weights = f'[published]({weights})'
            parts.append(
                [
                    f'[`{entry["Name"]}`](../{entry["Config"]})'
                    + (f' or `{entry["Alias"]}`' if 'Alias' in entry else ''),
                    entry['Metadata']['Training Data'],
                    '; '.join(figures),
                    weights,
                ]
            )
    return as_markdown(['name', 'trained on', 'figures', 'weights'], parts)
