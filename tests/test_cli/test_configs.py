"""Configs by name, in a checkout and in an installed package."""

import shutil

import pytest

import mspose_plugin
from mspose_plugin.apis.models import config_names, find_config
from mspose_plugin.cli.configs import load_config
from mspose_plugin.utils.errors import InputError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Work in an empty folder."""
    (tmp_path / 'cwd').mkdir()
    monkeypatch.chdir(tmp_path / 'cwd')


def test_every_config_is_found_by_its_name(repository):
    names = config_names()
    assert 'msspose_hourglass8_mpii' in names and not any('_base_' in name for name in names)
    for name, path in names.items():
        assert find_config(name) == find_config(f'configs/{name}.py') == str(path)
        assert path == repository / 'configs' / f'{name}.py'


def test_the_folder_may_be_omitted_where_the_name_is_unique():
    stems = [path.stem for path in config_names().values()]
    for name, path in config_names().items():
        if stems.count(path.stem) == 1:
            assert find_config(path.stem) == str(path)
        elif name != path.stem:
            with pytest.raises(InputError, match=f'{name}'):
                find_config(path.stem)


def test_a_file_comes_before_a_name(tmp_path):
    (tmp_path / 'cwd/msspose_hourglass8_mpii').write_text('a = 1')
    assert find_config('msspose_hourglass8_mpii') == 'msspose_hourglass8_mpii'


@pytest.mark.parametrize(
    'text, near',
    [
        ('msspose_hourglas8_mpi', 'msspose_hourglass8_mpii'),
        ('hourglass/hourglass9_mpii_bearpaw', 'hourglass/hourglass8_mpii_bearpaw'),
        ('configs/msspose_hourglass_mpii.py', 'msspose_hourglass8_mpii'),
        ('hourglass8_mpi_bearpaw', 'hourglass/hourglass8_mpii_bearpaw'),
    ],
)
def test_an_unknown_name_brings_the_nearest(text, near):
    with pytest.raises(InputError, match=f'config {text}: no such file') as e:
        find_config(text)
    assert near in str(e.value)


def test_a_path_is_never_taken_for_a_name(tmp_path):
    """Else a mistyped folder would train another config than the one that was meant."""
    for text in ('my/msspose_hourglass8_mpii.py', 'msspose_hourglass8_mpii.py'):
        with pytest.raises(InputError, match='no such file'):
            find_config(text)


def test_the_installed_package_carries_them(tmp_path, monkeypatch, repository):
    package = tmp_path / 'site-packages/mspose_plugin'
    shutil.copytree(repository / 'configs', package / '.mim/configs')
    monkeypatch.setattr(mspose_plugin, '__file__', str(package / '__init__.py'))
    path = find_config('msspose_hourglass8_mpii')
    assert path == str(package / '.mim/configs/msspose_hourglass8_mpii.py')
    assert load_config('configs/msspose_hourglass8_mpii.py').model.backbone.num_stacks == 8
    shutil.rmtree(package / '.mim')
    assert config_names() == {}
    with pytest.raises(InputError, match='no such file'):
        find_config('msspose_hourglass8_mpii')
