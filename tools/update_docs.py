"""Fill in the documents' figures from what the tools wrote: ``python -m tools.update_docs``.

Every block between ``<!-- figures:NAME -->`` and ``<!-- end -->`` in the README and in ``docs/``,
and between ``# figures:NAME`` and ``# end`` in the metafiles, is made from the files in
``results/NAME/`` by a function of :mod:`tools.figures`; ``--check`` only says whether they are up
to date.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tools.figures import networks, speed, trainings

if TYPE_CHECKING:
    from mspose_plugin.ablation.report import Report

ROOT = Path(__file__).resolve().parents[1]
TOUR = ROOT / 'docs/tour.md'
BLOCK = re.compile(
    r'((?:<!--| *#) figures:(\w+)(?: -->)?\n).*?((?:<!-- end -->| *# end))', re.DOTALL
)
MADE = (
    *(networks.complexity, networks.training_cost, networks.zoo, networks.zoo_total),
    *(networks.models, speed.benchmark, speed.peers, speed.distributed),
    *(trainings.demo, trainings.mlpe_small, trainings.photographs),
    *(trainings.photographs_metafile, trainings.errors, trainings.peaks),
)
RENDER: dict[str, Callable[..., str]] = {
    **{make.__name__: make for make in MADE},
    **{f'recipes_{name}': trainings.recipes for name in ('small', 'hourglass8', 'batch')},
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
    sys.exit(f'{path.relative_to(ROOT)} is out of date: run python -m tools.update_docs')


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
