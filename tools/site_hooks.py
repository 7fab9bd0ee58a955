"""Hooks of MkDocs (``mkdocs.yml``): the repository's other documents become pages of the site.

Every document stays where readers of the repository look for it, with links that lead there. In
the site those links are turned to the pages, and files that they name, such as configs, come along.
"""

import os.path as osp
import re
from pathlib import Path, PurePosixPath
from typing import Any

from griffe import Extension, Object
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    'README.md': 'index.md',
    'CONTRIBUTING.md': 'contributing.md',
    'CHANGELOG.md': 'changelog.md',
}
"""Document of the repository -> page of the site."""
LINK = re.compile(r'(\]\()([^)#\s]+)')
ROLE = re.compile(r':\w+:`(?:~[\w.]*\.)?([^`]+)`')


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add documents outside ``docs/``, and the files that any document names in a link."""
    own = {path.relative_to(ROOT).as_posix() for path in ROOT.glob('configs/**/README.md')}
    names = {*PAGES, *own}
    for document in [ROOT / name for name in names] + [*ROOT.glob('docs/**/*.md')]:
        for _, link in LINK.findall(document.read_text()):
            path = ROOT / osp.normpath(document.parent.relative_to(ROOT) / link)
            if '://' not in link and path.is_file():
                names.add(path.relative_to(ROOT).as_posix())
    for name in sorted(names):
        if not name.startswith('docs/'):
            file = File.generated(config, _in_site(name), abs_src_path=str(ROOT / name))
            files.append(file)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between places in the repository to those in the site."""
    source = Path(page.file.abs_src_path or '').relative_to(ROOT)
    here = PurePosixPath(page.file.src_uri).parent

    def turn(match: re.Match) -> str:
        if '://' in match[2]:
            return match[0]
        target = _in_site(osp.normpath(source.parent / match[2]))
        return match[1] + osp.relpath(target, here)

    return LINK.sub(turn, markdown)


def _in_site(name: str) -> str:
    return PAGES.get(name, name.removeprefix('docs/'))


class Roles(Extension):
    """Griffe's view of docstrings: Sphinx's roles, which editors know, become code in Markdown."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Turn ``:class:`~a.b.C``` to ``C`` in code."""
        if obj.docstring:
            obj.docstring.value = ROLE.sub(r'`\1`', obj.docstring.value)
