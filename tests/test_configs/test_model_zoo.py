"""READMEs and metafiles: every config is listed, with figures that have a source."""

import json
import re
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config
from tiny_run import REPOSITORY, run

from mspose_plugin.checkpoint.published import URLS
from mspose_plugin.cli.configs import find_config

CONFIGS = REPOSITORY / 'configs'
LEAVES = {
    p.relative_to(REPOSITORY).as_posix() for p in CONFIGS.rglob('*.py') if '_base_' not in p.parts
}
FOLDERS = sorted(p for p in CONFIGS.iterdir() if p.is_dir() and p.name != '_base_')
LINK = re.compile(r'\[`([\w.-]+)`\]\(([\w./-]+)\)')


def metafiles():
    """Return the content of the metafiles that ``model-index.yml`` names."""
    index = yaml.safe_load((REPOSITORY / 'model-index.yml').read_text())
    return {path: yaml.safe_load((REPOSITORY / path).read_text()) for path in index['Import']}


MODELS = [model for content in metafiles().values() for model in content['Models']]


def rows(folder: Path):
    """Yield the rows of the tables of a folder's README: the config and its cells by column."""
    header = None
    for line in (folder / 'README.md').read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip('|').split('|')]
        if not line.startswith('|'):
            header = None
        elif header is None:
            header = cells
        elif link := LINK.fullmatch(cells[0]):
            assert link[1] == Path(link[2]).name
            path = (folder / link[2]).resolve().relative_to(REPOSITORY)
            yield path.as_posix(), dict(zip(header, cells, strict=True))


ROWS = [row for folder in FOLDERS for row in rows(folder)]


def test_every_folder_has_its_readme_and_its_metafile():
    assert sorted(metafiles()) == [f'configs/{f.name}/metafile.yml' for f in FOLDERS]
    assert all((folder / 'README.md').is_file() for folder in FOLDERS)


def test_every_config_is_in_one_metafile_and_in_a_readme():
    assert sorted(model['Config'] for model in MODELS) == sorted(LEAVES)
    assert {path for path, _ in ROWS} == LEAVES


def test_metafiles_follow_openmmlabs_format():
    collections = [c for content in metafiles().values() for c in content.get('Collections', ())]
    for collection in collections:
        assert collection['Paper']['Title'] and (REPOSITORY / collection['README']).is_file()
    names = {collection['Name'] for collection in collections}
    for model in MODELS:
        assert model['Name'] == Path(model['Config']).stem
        assert model['In Collection'] in names
        assert model['Metadata']['Architecture'] and model['Metadata']['Training Data']
        for result in model.get('Results', ()):
            assert result['Task'] == 'Body 2D Keypoint' and result['Dataset']
            # whose figures they are
            kinds = ('(paper)', '(published)', '(measured)')
            assert all(name.endswith(kinds) for name in result['Metrics'])


def test_figures_of_metafiles_and_readmes_agree():
    columns = {
        'AP, val2017 (paper)': ('COCO val2017', 'AP (paper)'),
        'PCKh, MPII val (paper)': ('MPII val', 'PCKh@0.5 (paper)'),
        'PCKh@0.5 (published)': ('MPII val', 'PCKh@0.5 (published)'),
    }
    checked = 0
    for path, row in ROWS:
        (model,) = (m for m in MODELS if m['Config'] == path)
        found = {r['Dataset']: r['Metrics'] for r in model.get('Results', ())}
        for column in row.keys() & columns.keys():
            dataset, metric = columns[column]
            assert row[column] == str(found.get(dataset, {}).get(metric, '–'))
            checked += 1
    assert checked == 10 + 6 + 5


def test_a_weight_is_that_of_its_name():
    weights = {m['Config']: m['Weights'] for m in MODELS if 'Weights' in m}
    given = {path: entry for path, entry in weights.items() if '://' in entry}
    assert all((REPOSITORY / weights[path]).is_file() for path in weights.keys() - given.keys())
    named = {
        path: URLS[name]
        for path, row in ROWS
        for name in re.findall(r'`hourglass://(\w+)`', row.get('weights', ''))
    }
    assert given == named and len(given) == len(URLS)


@pytest.fixture(scope='module')
def counted(tmp_path_factory):
    """Return what ``tools/complexity.py`` counts, by config."""
    folder = tmp_path_factory.mktemp('complexity')
    tool = REPOSITORY / 'tools/complexity.py'
    configs = [REPOSITORY / path for path in sorted({path for path, _ in ROWS})]
    done = run([tool, *configs, '--out', 'out.json'], folder, timeout=300)
    assert done.status == 0, done.err
    found = json.loads((folder / 'out.json').read_text())
    return {Path(row['config']).relative_to(REPOSITORY).as_posix(): row for row in found}


def test_parameters_multiply_adds_and_input_size(counted):
    for path, row in ROWS:
        count = counted[path]
        width, height = count['input_size']
        assert row['input'] == f'{height}x{width}', path
        assert row['params (M)'] == f'{count["params"]["total"]:.2f}', path
        assert row['GMACs'] == f'{count["gmacs"]["total"]:.2f}', path


def test_the_readmes_name_files_that_exist():
    for readme in (CONFIGS / 'README.md', *(folder / 'README.md' for folder in FOLDERS)):
        text = readme.read_text()
        for target in re.findall(r'\]\((?!https?:)([^)]+)\)', text):
            assert (readme.parent / target).exists(), (readme, target)
        for path in re.findall(r'(?:configs|tools|docs)/[\w./-]+\.(?:py|md|yml)', text):
            assert (REPOSITORY / path).exists(), (readme, path)
        for config in re.findall(r'^mspose (?:train|test) ([\w-]+)', text, re.MULTILINE):
            assert find_config(config)


def test_the_example_of_a_part_that_is_replaced(tmp_path):
    """The config in ``configs/README.md``: flips alone."""
    (example,) = re.findall(r'```python\n(.*?)```', (CONFIGS / 'README.md').read_text(), re.DOTALL)
    (tmp_path / 'own.py').write_text(example.replace("'./", f"'{CONFIGS}/"))
    own, base = (
        [step.type for step in Config.fromfile(path).train_dataloader.dataset.pipeline]
        for path in (tmp_path / 'own.py', CONFIGS / 'msspose_hourglass8_mpii.py')
    )
    assert own == [kind for kind in base if kind != 'FastRandomBBoxTransform']
