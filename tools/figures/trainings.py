"""Trainings, and what trained networks find and miss."""

from __future__ import annotations

from collections import Counter

from mspose_plugin.cli.output import as_markdown

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
