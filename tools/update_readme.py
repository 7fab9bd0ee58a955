"""Fill the README's figures from the files that the tools wrote: ``python tools/update_readme.py``.

Every block between ``<!-- figures:NAME -->`` and ``<!-- end -->`` is made from the files in
``results/NAME/``; ``--check`` only says whether the README is up to date.
"""
import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r'(<!-- figures:(\w+) -->\n).*?(<!-- end -->)', re.DOTALL)
JOINTS = ('Head', 'Shoulder', 'Elbow', 'Wrist', 'Hip', 'Knee', 'Ankle')


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ['---'] * len(header), *rows]
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


def demo(metrics: dict, synthetic: dict) -> str:
    """What ``make demo`` leaves: ``metrics.json``, and ``synthetic.json`` of its data."""
    columns = [*JOINTS, 'PCKh', 'PCKh@0.1', 'AUC']
    return table(columns, [[f'{metrics[c]:.1f}' for c in columns]]) + (
        f'\nSynthetic people, difficulty `{synthetic["difficulty"]}`, seed {synthetic["seed"]}: '
        f'trained on {synthetic["train"]} images, evaluated on {synthetic["val"]} others.\n')


RENDER: dict[str, Callable[..., str]] = dict(demo=demo)


def main() -> None:
    """Rewrite the README's blocks, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--check', action='store_true', help='exit status 1 if out of date')
    check = parser.parse_args().check
    readme = ROOT / 'README.md'
    text = readme.read_text()

    def fill(match: re.Match) -> str:
        results = {path.stem: json.loads(path.read_text())
                   for path in (ROOT / 'results' / match[2]).glob('*.json')}
        return match[1] + RENDER[match[2]](**results) + match[3]

    new = BLOCK.sub(fill, text)
    if check and new != text:
        sys.exit('README.md is out of date: run python tools/update_readme.py')
    if not check:
        readme.write_text(new)


if __name__ == '__main__':
    main()
