import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / 'README.md').read_text()


def test_every_file_it_names_exists():
    text = README + (ROOT / 'docs/methods.md').read_text()
    names = re.findall(r'`((?:configs|tools|tests|docs)/[\w./]+\w)`', text)
    names += re.findall(r'(?:python |^)((?:configs|tools)/[\w/]+\.(?:py|sh))', text, re.MULTILINE)
    names += [
        f'mspose_plugin/{n}'
        for n in re.findall(r'`((?:models|datasets|engine|evaluation)/[\w./]+)`', text)
    ]
    assert len(names) >= 15
    missing = [name for name in names if not (ROOT / name).exists()]
    assert not missing


def test_every_link_leads_somewhere():
    documents = [*ROOT.glob('*.md'), *ROOT.glob('docs/*.md'), *ROOT.glob('configs/**/*.md')]
    links = [
        (document, link)
        for document in documents
        for link in re.findall(r'\]\(([^)#\s]+)', document.read_text())
        if '://' not in link
    ]
    assert len(links) > 50
    assert not [(d.name, link) for d, link in links if not (d.parent / link).exists()]


def test_it_is_short():
    assert len(README.splitlines()) < 150
