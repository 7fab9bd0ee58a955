"""What it takes: benchmarks, other networks beside ours, several processes."""

from __future__ import annotations

from mspose_plugin.cli.output import as_markdown


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
