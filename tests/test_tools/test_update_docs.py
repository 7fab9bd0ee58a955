"""Pictures of plans, which ``tools/update_docs.py`` draws of result files."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tools import update_docs

NAME = 'photographs_tuning'
ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A copy of a plan's results, without its picture."""
    for folder in ('configs', 'tools'):
        (tmp_path / folder).symlink_to(ROOT / folder)
    shutil.copytree(ROOT / 'results' / NAME, tmp_path / 'results' / NAME)
    (tmp_path / 'docs/pictures').mkdir(parents=True)
    monkeypatch.setattr(update_docs, 'ROOT', tmp_path)
    update_docs.report.cache_clear()
    yield tmp_path
    update_docs.report.cache_clear()


def test_a_picture_that_is_missing_or_of_other_results_is_out_of_date(project):
    picture = project / f'docs/pictures/ablation/{NAME}.png'
    with pytest.raises(SystemExit, match=f'{NAME}.png is out of date: run python'):
        update_docs.update_picture(NAME, check=True)
    update_docs.update_picture(NAME, check=False)
    update_docs.update_picture(NAME, check=True)
    assert min(Image.open(picture).size) > 100

    result = next((project / 'results' / NAME).glob('few_*.json'))
    changed = json.loads(result.read_text())
    changed['seconds'] += 3600
    result.write_text(json.dumps(changed))
    update_docs.report.cache_clear()
    with pytest.raises(SystemExit, match='is out of date'):
        update_docs.update_picture(NAME, check=True)
    update_docs.update_picture(NAME, check=False)
    update_docs.update_picture(NAME, check=True)


def test_rows_come_in_the_order_of_the_files_names_on_every_file_system(tmp_path, monkeypatch):
    """A folder lists its files in an order of its own."""
    folder = tmp_path / 'results/demo'
    folder.mkdir(parents=True)
    for name in 'cab':
        (folder / f'{name}.json').write_text('{}')
    listed = [folder / f'{name}.json' for name in 'bca']
    monkeypatch.setattr(Path, 'glob', lambda *args: iter(listed))
    monkeypatch.setattr(update_docs, 'ROOT', tmp_path)
    monkeypatch.setitem(update_docs.RENDER, 'demo', lambda **files: ' '.join(files))
    block = '<!-- figures:demo -->\nold <!-- end -->'
    assert update_docs.BLOCK.sub(update_docs.fill, block).split('\n')[1] == 'a b c<!-- end -->'
