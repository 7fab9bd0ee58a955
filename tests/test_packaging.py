"""The wheel and the source distribution: what is in them, and that they need no checkout."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PARTS = (
    *('mspose_plugin', 'configs', 'tools', 'mspose_command.py', 'setup.py', 'pyproject.toml'),
    *('MANIFEST.in', 'README.md', 'LICENSE', 'model-index.yml'),
)
BUILD = '''
import sys
from setuptools import build_meta
out = sys.argv[1]  # which the first changes
print(build_meta.build_wheel(out), build_meta.build_sdist(out))
'''

pytest.importorskip('setuptools', '77')


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    """Return wheel and source distribution, built from a copy of the checkout."""
    source, out = (tmp_path_factory.mktemp(name) for name in ('source', 'out'))
    for name in PARTS:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns('__pycache__', '.mim')
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, source)
    done = subprocess.run(
        [sys.executable, '-c', BUILD, str(out)], cwd=source, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [out / name for name in done.stdout.splitlines()[-1].split()]


@pytest.fixture(scope='module')
def site(built, tmp_path_factory):
    """Return a folder with the wheel's content, as installed."""
    folder = tmp_path_factory.mktemp('site')
    zipfile.ZipFile(built[0]).extractall(folder)
    return folder


def files(folder):
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob('*')
        if path.is_file() and '__pycache__' not in path.parts
    }


@pytest.mark.parametrize('folder', ['configs', 'tools'])
def test_wheel_has_the_folders_where_openmmlab_looks(site, folder):
    assert files(site / 'mspose_plugin/.mim' / folder) == files(ROOT / folder)


def test_wheel_has_nothing_else(site):
    assert (site / 'mspose_plugin/.mim/model-index.yml').is_file()
    top = {path.name for path in site.iterdir() if not path.name.endswith('.dist-info')}
    assert top == {'mspose_plugin', 'mspose_command.py'}
    package = {name for name in files(site / 'mspose_plugin') if not name.startswith('.mim/')}
    assert package == {n for n in files(ROOT / 'mspose_plugin') if not n.startswith('.mim/')}
    assert 'py.typed' in package


def test_source_distribution_builds_the_same(built, tmp_path):
    with tarfile.open(built[1]) as archive:
        archive.extractall(tmp_path, filter='data')
    (source,) = tmp_path.iterdir()
    for name in PARTS:
        if (ROOT / name).is_dir():
            assert files(source / name) >= {
                n for n in files(ROOT / name) if not n.startswith('.mim/')
            }
        else:
            assert (source / name).is_file()
    assert not (source / 'tests').exists()


def test_a_full_mmcv_is_not_overwritten(site):
    (metadata,) = site.glob('*.dist-info/METADATA')
    needed = map(Requirement, message_from_bytes(metadata.read_bytes()).get_all('Requires-Dist'))
    needed = {r.name: r for r in needed if r.name.startswith('mmcv')}
    assert str(needed.pop('mmcv-lite').marker) == 'extra == "lite"' and not needed


def test_it_needs_no_checkout(site, tmp_path):
    code = (
        'import mspose_plugin; from mmpose.apis import init_model; '
        'from mspose_plugin.cli.configs import find_config; '
        'path = find_config("msspose_hourglass8_mpii"); '
        'init_model(path, device="cpu"); print(mspose_plugin.__file__); print(path)'
    )
    done = subprocess.run(
        [sys.executable, '-c', code],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': str(site)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    module, path = map(Path, done.stdout.splitlines()[-2:])
    assert site in module.parents and site in path.parents
    assert not list(tmp_path.iterdir())
