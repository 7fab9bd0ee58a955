"""``mspose check-env``: say in one screen what is installed, what was adapted and what to do.

Runs also where something is missing or broken, so that at its top it imports nothing beyond the
standard library and pip's own. Exit status 1 when there is something to do. With ``--zoo`` it
builds and runs MMPose's own configs instead, see ``zoo.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import warnings
from collections.abc import Iterator
from importlib import import_module, metadata
from typing import Any

try:
    packaging = import_module('packaging.requirements')
except ImportError:  # pip brings its own
    packaging = import_module('pip._vendor.packaging.requirements')

PROJECT = 'mspose-plugin'
EXTRA = 'lite'
"""The extra that stands for either mmcv, see ``ALTERNATIVES``."""
SHOWN = (
    'torch',
    'torchvision',
    'numpy',
    'opencv-python',
    'mmengine',
    'mmcv-lite',
    'mmdet',
    'mmpose',
    'xtcocotools',
    'scipy',
    'h5py',
    'setuptools',
)
ALTERNATIVES = {
    'mmcv-lite': ('mmcv', 'mmcv-lite'),
    'opencv-python': (
        'opencv-python',
        'opencv-python-headless',
        'opencv-contrib-python',
        'opencv-contrib-python-headless',
    ),
}
"""Distributions that stand for each other; the first one found counts."""

REMEDIES = {
    'chumpy': "pip install 'setuptools<81' wheel, then pip install --no-build-isolation chumpy",
    'xtcocotools': 'pip install cython numpy, then pip install --no-build-isolation '
    '--no-binary xtcocotools xtcocotools',
}
"""What to run for packages that a plain ``pip install`` does not get right."""


def installed(name: str) -> tuple[str, str | None]:
    """Return the distribution that serves as ``name``, and its version or None."""
    for candidate in ALTERNATIVES.get(name, (name,)):
        try:
            return candidate, metadata.version(candidate)
        except metadata.PackageNotFoundError:
            pass
    return name, None


def requirements(name: str) -> list[Any]:
    """Return what a distribution requires here, without its extras other than ``EXTRA``."""
    try:
        texts = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []
    found = []
    for text in texts:
        try:
            requirement = packaging.Requirement(text)
        except packaging.InvalidRequirement:  # some old packages write what pip lets pass
            continue
        if requirement.marker is None or requirement.marker.evaluate(dict(extra=EXTRA)):
            found.append(requirement)
    return found


def inconsistencies(root: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong among the packages that ``root`` needs, as ``pip check`` would.

    Yields:
        The problem and its remedy, one pair for each package.
    """
    queue, seen, reported = [root], set(), set()
    while queue:
        owner = queue.pop(0)
        for requirement in requirements(owner):
            name, version = installed(requirement.name)
            fits = version and requirement.specifier.contains(version, prereleases=True)
            if not fits and name not in reported:
                reported.add(name)
                have = f'{name} {version} is installed' if version else f'{name} is missing'
                wanted = f'{requirement.name}{requirement.specifier}'
                yield (
                    f'{have}, {owner} needs {wanted}',
                    REMEDIES.get(name.lower(), f"pip install '{wanted}'"),
                )
            if version and name not in seen:
                seen.add(name)
                queue.append(name)


def overlaid() -> list[tuple[str, str]]:
    """Return the problem of two distributions of mmcv, and its remedy."""
    try:
        version, _ = metadata.version('mmcv'), metadata.version('mmcv-lite')
    except metadata.PackageNotFoundError:
        return []
    return [
        (
            'mmcv and mmcv-lite are both installed, and have the same files',
            'pip uninstall mmcv-lite, then '
            f"pip install --force-reinstall --no-deps --no-build-isolation 'mmcv=={version}'",
        )
    ]


def device() -> tuple[str, list[tuple[str, str]]]:
    """Return what PyTorch computes on, and the problems with that."""
    try:
        import torch
    except Exception as e:  # a broken installation may raise anything
        return 'unknown', [(f'torch does not load: {first_line(e)}', 'make setup')]
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return f'CUDA {torch.version.cuda}: {", ".join(names)}', []
    problems = []
    if os.path.exists('/dev/nvidia0') or shutil.which('nvidia-smi'):
        problems.append(
            (
                f'there is an NVIDIA GPU that PyTorch (CUDA {torch.version.cuda}) cannot use',
                'update the driver, or install the PyTorch build for yours, see '
                'https://pytorch.org/get-started',
            )
        )
    if torch.backends.mps.is_available():
        return 'MPS (Apple)', problems
    return f'CPU: {torch.get_num_threads()} threads, {cpu_features()}', problems


def cpu_features() -> str:
    """Return what makes bfloat16 (``--amp``) fast on this CPU."""
    import torch

    try:
        with open('/proc/cpuinfo') as f:
            flags = set(f.read().split())
    except OSError:
        flags = set()
    bf16 = next((name for name in ('amx_bf16', 'avx512_bf16') if name in flags), None)
    return (
        f'{torch.backends.cpu.get_cpu_capability()}, bfloat16 '
        f'{f"fast ({bf16})" if bf16 else "not accelerated"}'
    )


def adaptations() -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Import the plugin and return what it adapted, and why it could not be imported."""
    problems = []
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            import mspose_plugin  # noqa: F401
        except Exception as e:
            # our own messages end in what to run
            text, _, remedy = first_line(e).partition(': run ')
            problems.append((f'import mspose_plugin fails: {text}', remedy or 'make setup'))
    compat = sys.modules.get('mspose_plugin.compat')
    return dict(getattr(compat, 'REPORT', {})), problems


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def collect() -> dict[str, Any]:
    """Look at everything.

    Returns:
        ``python``, ``packages`` (name -> version, wanted range), ``device``,
        ``adapted`` and ``problems`` (list of problem and remedy).
    """
    wanted = {r.name: str(r.specifier) for r in requirements(PROJECT)}
    packages = {}
    for name in SHOWN:
        found, version = installed(name)
        packages[found] = dict(version=version, wanted=wanted.get(name, ''))
    problems = []
    if installed(PROJECT)[1] is None:
        problems.append((f'{PROJECT} is not installed', 'make setup'))
    problems += inconsistencies(PROJECT)
    problems += overlaid()
    used, device_problems = device()
    adapted, import_problems = adaptations()
    remedies = {remedy for _, remedy in problems}
    problems += [pair for pair in import_problems if pair[1] not in remedies]
    return dict(
        python=platform.python_version(),
        prefix=sys.prefix,
        packages=packages,
        device=used,
        adapted=adapted,
        problems=problems + device_problems,
    )


def show(report: dict[str, Any]) -> None:
    """Print a report on one screen."""
    print(f'Python {report["python"]} in {report["prefix"]}; {report["device"]}')
    for name, package in report['packages'].items():
        print(f'  {name:<15} {package["version"] or "missing":<16} {package["wanted"]}')
    print('adapted:')
    for subject, what in report['adapted'].items():
        print(f'  {subject:<15} {what}')
    if report['problems']:
        print('to do:')
        for problem, remedy in report['problems']:
            print(f'  {problem}\n    -> {remedy}')
    else:
        print('nothing to do')


def positive(text: str) -> int:
    """Argument type: a whole number of 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'expected a whole number of 1 or more, got {text!r}')
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('--json', action='store_true', help='print JSON')
    parser.add_argument(
        '--zoo',
        nargs='*',
        metavar='WORD',
        help="build and run MMPose's own configs instead, those with one of the words in their "
        'path, or all',
    )
    parser.add_argument('--device', default='cpu', help='of --zoo (default: cpu)')
    parser.add_argument(
        '--workers',
        type=positive,
        default=os.cpu_count(),
        help='processes of --zoo (default: all cores)',
    )


def main(args: argparse.Namespace) -> int:
    """Print the report and return the exit status."""
    if args.zoo is not None:
        try:
            from mspose_plugin.cli import zoo
        except ImportError as e:
            sys.exit(f'error: {first_line(e)}')
        return zoo.main(args.zoo, args.workers, args.device, args.json)
    report = collect()
    if args.json:
        print(json.dumps(report, indent=2))
    else:
        show(report)
    return 1 if report['problems'] else 0
