"""Fill in the documents' figures from what the tools wrote: ``python tools/update_docs.py``.

Every block between ``<!-- figures:NAME -->`` and ``<!-- end -->`` in the README and in ``docs/``,
and between ``# figures:NAME`` and ``# end`` in the metafiles, is made from the files in
``results/NAME/``; ``--check`` only says whether they are up to date.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import yaml
from mmengine.config import Config
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mspose_plugin.cli.output import as_markdown

if TYPE_CHECKING:
    from mspose_plugin.ablation.report import Report

ROOT = Path(__file__).resolve().parents[1]
TOUR = ROOT / 'docs/tour.md'
BLOCK = re.compile(
    r'((?:<!--| *#) figures:(\w+)(?: -->)?\n).*?((?:<!-- end -->| *# end))', re.DOTALL
)
JOINTS = ('Head', 'Shoulder', 'Elbow', 'Wrist', 'Hip', 'Knee', 'Ankle')


def _data(synthetic: dict) -> str:
    return (
        f'Synthetic people, difficulty `{synthetic["difficulty"]}`, seed {synthetic["seed"]}: '
        f'trained on {synthetic["train"]} images, evaluated on {synthetic["val"]} others.\n'
    )


def demo(metrics: dict, synthetic: dict) -> str:
    """What ``make demo`` leaves: ``metrics.json``, and ``synthetic.json`` of its data."""
    columns = [*JOINTS, 'PCKh', 'PCKh@0.1', 'AUC']
    return as_markdown(columns, [[f'{metrics[c]:.1f}' for c in columns]]) + '\n' + _data(synthetic)


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


def mlpe_small(**runs: dict) -> str:
    """What ``mspose ablate tools/plans/mlpe_small.py`` writes, ``VARIANT_SEED.json``."""
    variants = _by_variant(runs)
    seeds = sorted({run['seed'] for run in runs.values()})
    rows = [
        [
            name.replace('_', ' '),
            *(f'{100 * run["metrics"]["coco/AP"]:.1f}' for run in of),
            f'{100 * _mean(of, "coco/AP"):.1f}',
        ]
        for name, of in variants.items()
    ]
    return as_markdown(['variant', *(f'seed {seed}' for seed in seeds), 'mean'], rows)


_PHOTOGRAPHS = {
    'mpii': ('MPII', 'joints within half a head, PCKh@0.5'),
    'coco': ('COCO', 'joints of a keypoint similarity over 0.5'),
}


def photographs(measured: dict, metrics: dict, synthetic: dict) -> str:
    """What ``tools/measure_photographs.py`` and ``mspose test`` write, and the drawn people's."""
    rows = []
    for kind, (name, what) in _PHOTOGRAPHS.items():
        found = measured[kind]
        low, high = found['interval']
        people = f'{found["persons"]} people of {name}, photographs'
        share = f'{found["hits"]} of {found["joints"]}'
        rows.append([people, what, share, f'{found["percent"]:.0f} % ({low:.0f} to {high:.0f})'])
    unseen = f'{synthetic["val"]} drawn people, unseen'
    rows.append([unseen, _PHOTOGRAPHS['mpii'][1], '', f'{metrics["PCKh"]:.0f} %'])
    return as_markdown(['people', 'counted', 'joints', 'share (95 % over people)'], rows)


def photographs_metafile(measured: dict, **others: dict) -> str:
    """The same for ``mspose models``."""
    lines = ['  Results:']
    for kind, (name, _) in _PHOTOGRAPHS.items():
        found = measured[kind]
        metric = dict(mpii='PCKh@0.5', coco='similarity > 0.5')[kind]
        lines += [
            '  - Task: Body 2D Keypoint',
            f'    Dataset: {found["persons"]} people of {name}',
            '    Metrics:',
            f'      {metric} (measured): {found["percent"]:.1f}',
        ]
    return '\n'.join(lines) + '\n'


def errors(newell: dict) -> str:
    """What ``mspose analyze --json`` writes of the stacked hourglass's published predictions."""
    counts = Counter[str]()
    for joint in newell['joints'].values():
        counts.update(joint)
    share = {kind: f'{100 * n / counts.total():.1f} %' for kind, n in counts.items()}
    gain = newell['corrected']['inversion']['PCKh'] - newell['metrics']['PCKh']
    return (
        f'Of that network\'s joints on {newell["persons"]:,} people of MPII\'s validation set '
        f'{share["good"]} are good, {share["jitter"]} jitter, {share["inversion"]} inverted and '
        f'{share["miss"]} missed; without inversions its PCKh would be {gain:.1f} points higher.\n'
    )


def peaks(counts: dict) -> str:
    """What ``tools/count_peaks.py`` writes."""
    share = {k: 100 * counts[k] / counts['labelled_maps'] for k in ('before', 'after')}
    return (
        f'Of {counts["labelled_maps"]} heatmaps of {counts["persons"]} unseen synthetic people '
        f'with occluded and duplicated keypoints, {counts["before"]} ({share["before"]:.1f} %) '
        f'have a second strong peak before the regression network and {counts["after"]} '
        f'({share["after"]:.1f} %) after it.\n'
    )


def distributed(**measured: dict) -> str:
    """What ``tools/measure_distributed.py`` writes."""
    parts = []
    columns = ['training', 'processes', 'threads', 'seed', 'val/loss after each epoch', 'PCKh']
    key = 'relative_distance'  # older files lack it
    for found in measured.values():
        known = any(key in run for run in found['trainings'])
        rows = [
            [
                'fixed norms, no augmentation' if run['fixed'] else 'batch norms, augmentation',
                *(str(run[name]) for name in ('processes', 'threads', 'seed')),
                ' '.join(f'{v["val/loss"]:.4f}' for v in run['validations']),
                f'{run["validations"][-1]["PCKh"]:.2f}',
                *([f'{run[key]:.1g}' if key in run else ''] if known else []),
                f'{run["images_per_second"]:.1f}',
            ]
            for run in found['trainings']
        ]
        parts.append(as_markdown([*columns, *(['distance'] if known else []), 'images/s'], rows))
        first, *others = found['tests']
        for test in others:
            same = 'the same' if test['metrics'] == first['metrics'] else 'other'
            parts.append(
                f'\nTested by {test["processes"]} processes in place of one: {test["persons"]} of '
                f'{first["persons"]} persons, {same} metrics, keypoints up to '
                f'{test["pixels_apart"]:.2g} px apart.\n'
            )
        options = ' '.join(f'{key}={value}' for key, value in found['cfg_options'].items())
        parts.append(
            f'\n`{found["config"]}` with `{options}`, total batch {found["batch_size"]}, '
            f'{found["epochs"]} epochs, commit {found["commit"]}, '
            f'torch {found["torch"]}, {found["cpus"]} {found["device"]} cores with a load of '
            f'{found["load"]:.1f}.\n'
        )
    return ''.join(parts)


def recipes(**runs: dict) -> str:
    """What ``mspose ablate`` writes, ``VARIANT_SEED.json``."""
    rows = []
    for of in sorted(_by_variant(runs).values(), key=lambda of: -(_mean(of, 'PCKh') or 0)):
        given = of[0]['cfg_options']
        options = {
            key.rpartition('.')[2]: value
            for key, value in given.items()
            if key.startswith('optim_wrapper.')
        }
        rows.append(
            [
                options['type'],
                f'{options["lr"]:g}',
                f'{options.get("max_norm", "-")}',
                ' '.join(
                    f'{run["metrics"]["PCKh"]:.1f}' if run['metrics'] else 'diverged' for run in of
                ),
                *(
                    '-' if (mean := _mean(of, key)) is None else f'{mean:.1f}'
                    for key in ('PCKh', 'AUC')
                ),
            ]
        )
    first = next(iter(runs.values()))
    return (
        as_markdown(['optimizer', 'rate', 'norm cut at', 'PCKh, a seed each', 'mean', 'AUC'], rows)
        + f'\nCommit {first["commit"]}, torch {first["torch"]}, {first["device"]}.\n'
    )


def _by_variant(runs: dict[str, dict]) -> dict[str, list[dict]]:
    variants: dict[str, list[dict]] = {}
    for run in sorted(runs.values(), key=lambda run: run['seed']):
        variants.setdefault(run['variant'], []).append(run)
    return variants


def _mean(runs: list[dict], key: str) -> float | None:
    """Mean of a figure, None where a run diverged."""
    values = [run['metrics'].get(key) for run in runs]
    return None if None in values else sum(values) / len(values)


def benchmark(**runs: dict) -> str:
    """What ``tools/benchmark.py`` writes, a file for each sub-command."""
    rows = []
    for name in sorted(runs):
        for row in runs[name]['rows']:
            unit = '' if row['unit'] == 'ratio' else ' ' + row['unit']
            target = '-' if row['target'] is None else f'{row["target"]:g}{unit}'
            reached = {True: 'yes', False: 'no', None: '-'}[row['holds']]
            low, high = row['quartiles']
            rows.append(
                [
                    f'`{name}`',
                    row['name'],
                    f'{row["value"]:.3f}{unit}',
                    f'{low:.3f}–{high:.3f}',
                    target,
                    reached,
                    str(runs[name]['environment']['threads']),
                ]
            )
    columns = ['benchmark', 'what', 'median', 'quartiles', 'target, at most', 'reached', 'threads']
    return as_markdown(columns, rows)


_MMPOSE = 'https://github.com/open-mmlab/mmpose/blob/main/configs/'


def peers(**runs: dict) -> str:
    """What ``tools/benchmark.py peers`` writes, a file for each machine: a table for each batch."""
    parts = []
    for run in runs.values():
        tables: dict[tuple[str, int], list[dict]] = {}
        for group in run['groups']:
            tables.setdefault((group['workload'], group['batch']), []).append(group)
        for (workload, batch), groups in tables.items():
            name = dict(forward='Forward pass', training='Training step')[workload]
            parts += [f'**{name}, batch {batch}**\n\n', _peers_table(groups), '\n']
        first = run['groups'][0]
        commits = ', '.join(sorted({group['commit'] for group in run['groups']}))
        clock = dict(cpu='processor time', wall='wall-clock time')[first['clock']]
        parts.append(
            f'{first["device_name"]}, threads: {first["threads"]}; {clock}; torch '
            f'{first["torch"]}; commit {commits}.\n'
        )
    return ''.join(parts)


def _peers_table(groups: list[dict]) -> str:
    """A line for each network, a column for each mode; facts and times are those of fp32."""
    modes: dict[str, dict[str, dict]] = {}
    for group in groups:
        modes.setdefault(group['mode'], {}).update({row['network']: row for row in group['rows']})
    lines = []
    for name, row in modes['fp32'].items():
        config = row['config'].removeprefix('mmpose::')
        theirs = config != row['config']
        link = f'{_MMPOSE}{config}' if theirs else f'../configs/{config}.py'
        figures = ('params', '.1f'), ('gmacs', '.2f'), ('peak_mb', '.0f'), ('ms', '.0f')
        lines.append(
            [
                f'[`{name}`]({link})',
                str(row['input_size']),
                *(f'{row[key]:{form}}' if key in row else '-' for key, form in figures),
                *(_peers_cell(rows.get(name, {})) for rows in modes.values()),
            ]
        )
    columns = ('network', 'input', 'parameters, M', 'GMACs', 'MB', 'ms')
    return as_markdown([*columns, *(f'`{mode}`' for mode in modes)], lines)


def _peers_cell(row: dict) -> str:
    if 'ratio' not in row:
        return '-'
    low, high = row['quartiles']
    used = row['floor_ms'] / row['ms']
    return f'**{row["ratio"]:.3f}** ({low:.3f}–{high:.3f}), {used:.0%}'


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


MADE = (
    *(demo, complexity, training_cost, mlpe_small, photographs, photographs_metafile, errors),
    *(peaks, distributed, benchmark, peers, zoo, zoo_total, models),
)
RENDER: dict[str, Callable[..., str]] = {
    **{make.__name__: make for make in MADE},
    **{f'recipes_{name}': recipes for name in ('small', 'hourglass8', 'batch')},
}
"""Name of a block, which is that of its folder in ``results/``, and what makes it."""
FOLDERS: dict[str, str | None] = dict(
    zoo_total='zoo', photographs_metafile='photographs', training_cost='complexity', models=None
)
"""Folders of another name; None for what is made from the metafiles."""


ABLATIONS = (
    *('ablation_msspose', 'structural_term', 'masking', 'msr_input', 'testing'),
    *('photographs_length', 'photographs_drawing', 'photographs_tuning', 'photographs_tuning_back'),
    *('photographs_training', 'photographs_parts', 'mlpe'),
)
"""Blocks that ``mspose ablate tools/plans/NAME.py --report`` makes."""


@cache
def report(name: str) -> Report:
    """What the results of a plan say."""
    from mspose_plugin.ablation.plan import read_plan
    from mspose_plugin.ablation.report import read_report

    return read_report(read_plan(str(ROOT / f'tools/plans/{name}.py')), ROOT / 'results' / name)


def ablation(name: str) -> str:
    """The picture and the tables of a plan."""
    from mspose_plugin.ablation.report import markdown

    shown = f'![Joints found, and differences](pictures/ablation/{name}.png)'
    return f'{shown}\n\n{markdown(report(name))}'


def update_picture(name: str, check: bool) -> None:
    """Draw a plan's picture, or end the process if it was drawn of other results."""
    from mspose_plugin.ablation.report import draw

    path = ROOT / f'docs/pictures/ablation/{name}.png'
    digest = hashlib.sha256(ablation(name).encode()).hexdigest()
    if path.exists() and Image.open(path).info.get('results') == digest:
        return
    if check:
        stop(path)
    with tempfile.TemporaryDirectory() as folder:
        draw(report(name), f'{folder}/drawn.png')
        few = Image.open(f'{folder}/drawn.png').convert('RGB').quantize(32)  # half the bytes
    said = PngInfo()
    said.add_text('results', digest)
    path.parent.mkdir(exist_ok=True)
    few.save(path, optimize=True, pnginfo=said)


def fill(match: re.Match) -> str:
    """Make a block anew."""
    folder = FOLDERS.get(match[2], match[2])
    if folder is None:
        return match[1] + RENDER[match[2]]() + match[3]
    files = sorted((ROOT / 'results' / folder).glob('*.json'))
    results = {path.stem: json.loads(path.read_text()) for path in files}
    if not results:
        sys.exit(f'results/{folder}: no result files for the block {match[2]}')
    if match[2] in ABLATIONS:
        return match[1] + ablation(match[2]) + match[3]
    results.pop('persons', None)  # of an ablation
    return match[1] + RENDER[match[2]](**results) + match[3]


def notebook(text: str) -> str:
    """Return a page as a notebook: its Python blocks and commands are cells."""
    cells = []
    for part in re.split(r'^(```(?:bash|python)\n.*?^```\n)', text, flags=re.DOTALL | re.MULTILINE):
        code = re.fullmatch(r'```(\w+)\n(.*)```\n', part, re.DOTALL)
        source = code[2] if code else part
        if code and code[1] == 'bash':
            source = re.sub(r'^(?=\S)', '!', source, flags=re.MULTILINE)
        if source.strip():
            cell = dict(cell_type='code', execution_count=None, outputs=[]) if code else {}
            lines = source.strip().splitlines(keepends=True)
            cells.append({'cell_type': 'markdown', 'metadata': {}, 'source': lines, **cell})
    kernel = dict(display_name='Python 3', language='python', name='python3')
    content = dict(cells=cells, metadata=dict(kernelspec=kernel), nbformat=4, nbformat_minor=4)
    return json.dumps(content, indent=1, ensure_ascii=False) + '\n'


def update(path: Path, new: str, check: bool) -> None:
    """Write a file, or end the process if it holds something else."""
    if check and (not path.exists() or path.read_text() != new):
        stop(path)
    if not check:
        path.write_text(new)


def stop(path: Path) -> NoReturn:
    """End the process."""
    sys.exit(f'{path.relative_to(ROOT)} is out of date: run python tools/update_docs.py')


def main() -> None:
    """Rewrite the documents' blocks and the tour's notebook, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--check', action='store_true', help='exit status 1 if out of date')
    check = parser.parse_args().check
    metafiles = sorted(ROOT.glob('configs/*/metafile.yml'))  # pages show what they say
    for path in (*metafiles, ROOT / 'README.md', *sorted(ROOT.glob('docs/**/*.md'))):
        update(path, BLOCK.sub(fill, path.read_text()), check)
    for name in ABLATIONS:
        if (ROOT / 'results' / name).exists():
            update_picture(name, check)
    update(TOUR.with_suffix('.ipynb'), notebook(TOUR.read_text()), check)


if __name__ == '__main__':
    main()
