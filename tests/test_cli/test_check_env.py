"""What ``tools/check_env.py`` says about sound and broken environments."""

import importlib.metadata
import json
import subprocess
import sys

import pytest
import tiny_run

from mspose_plugin.cli import check_env

TOOL = tiny_run.REPOSITORY / 'tools/check_env.py'


def test_one_screen_in_a_terminal(tmp_path):
    done = tiny_run.run([TOOL], tmp_path)
    lines = done.out.splitlines()
    assert len(lines) <= 25 and max(map(len, lines)) <= 120, done.out
    for word in (
        'Python 3',
        'torch ',
        'mmcv',
        'xtcocotools',
        'setuptools',
        'adapted:',
        'mmcv._ext',
        'torch.load',
    ):
        assert word in done.out
    assert not done.err
    to_do = 'to do:' in done.out
    assert done.status == int(to_do) and to_do == ('nothing to do' not in done.out)


def test_json(tmp_path):
    done = tiny_run.run([TOOL, '--json'], tmp_path)
    report = json.loads(done.out)
    assert report['packages']['mmpose']['wanted'].endswith('=1.3.2')
    assert 'torch.load' in report['adapted'] and done.status == bool(report['problems'])


@pytest.fixture()
def versions(monkeypatch):
    """Return a dict of versions that stand for the installed ones (None: missing)."""
    changed, version = {}, importlib.metadata.version

    def changed_version(name):
        if name not in changed:
            return version(name)
        if changed[name] is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return changed[name]

    monkeypatch.setattr(importlib.metadata, 'version', changed_version)
    return changed


@pytest.mark.parametrize(
    'name, version, problem, remedy',
    [
        (
            'setuptools',
            '82.0',
            'setuptools 82.0 is installed, mspose-plugin needs setuptools<81',
            "pip install 'setuptools<81",
        ),
        (
            'mmpose',
            None,
            'mmpose is missing, mspose-plugin needs mmpose',
            "pip install 'mmpose",
        ),
        ('chumpy', None, 'chumpy is missing, mmpose needs chumpy', '--no-build-isolation chumpy'),
        ('xtcocotools', '1.12', 'xtcocotools 1.12 is installed', '--no-binary xtcocotools'),
        (
            'mmdet',
            '3.1.0',
            'mmdet 3.1.0 is installed, mspose-plugin needs mmdet',
            "pip install 'mmdet",
        ),
        ('numpy', '1.24.4', 'numpy 1.24.4 is installed', "pip install 'numpy"),
    ],
)
def test_each_problem_comes_with_a_remedy(versions, name, version, problem, remedy):
    versions[name] = version
    found = {p: r for p, r in check_env.collect()['problems']}
    match = [(p, r) for p, r in found.items() if p.startswith(problem)]
    assert len(match) == 1 and remedy in match[0][1], found


def test_full_mmcv_and_headless_opencv_count(versions):
    versions.update(
        {
            'mmcv-lite': None,
            'mmcv': '2.1.0',
            'opencv-python': None,
            'opencv-python-headless': '5.0.0.93',
        }
    )
    report = check_env.collect()
    assert not [p for p, _ in report['problems'] if 'mmcv' in p or 'opencv' in p]
    assert {'mmcv', 'opencv-python-headless'} <= report['packages'].keys()
    versions['mmcv'] = '2.2.0'
    assert any('mmcv 2.2.0 is installed' in p for p, _ in check_env.collect()['problems'])


def test_two_mmcv_in_one_place(versions):
    versions.update({'mmcv': '2.1.0', 'mmcv-lite': '2.1.0'})
    found = {p: r for p, r in check_env.collect()['problems']}
    remedy = found['mmcv and mmcv-lite are both installed, and have the same files']
    assert (
        'pip uninstall mmcv-lite' in remedy
        and "--no-deps --no-build-isolation 'mmcv==2.1.0'" in remedy
    )


def test_plugin_not_installed(versions, monkeypatch):
    versions['mspose-plugin'] = None
    requires = importlib.metadata.requires

    def missing(name):
        if name == 'mspose-plugin':
            raise importlib.metadata.PackageNotFoundError(name)
        return requires(name)

    monkeypatch.setattr(importlib.metadata, 'requires', missing)
    assert ('mspose-plugin is not installed', 'make setup') in check_env.collect()['problems']


BROKEN = '''
import runpy, sys
{}
sys.argv = ['check_env.py']
runpy.run_path({!r}, run_name='__main__')
'''


@pytest.mark.parametrize(
    'code, problem, remedy',
    [
        (
            "sys.modules['pkg_resources'] = None",
            'mmengine imports pkg_resources',
            "pip install 'setuptools<81'",
        ),
        (
            "sys.modules['xtcocotools'] = None",
            'xtcocotools does not load',
            '--no-binary xtcocotools',
        ),
        ("sys.modules['mmcv'] = None", 'mmcv is missing', "pip install 'mmcv-lite==2.1.0'"),
        ("sys.modules['mmpose'] = None", 'mmpose is missing', "pip install 'mmpose==1.3.2'"),
        ("sys.modules['torch'] = None", 'torch does not load', 'make setup'),
    ],
)
def test_runs_where_something_is_broken(tmp_path, code, problem, remedy):
    # the plugin is imported afresh, after the damage
    forget = '[sys.modules.pop(n) for n in [*sys.modules] if n.split(".")[0] == "mspose_plugin"]\n'
    script = tmp_path / 'broken.py'
    script.write_text(BROKEN.format(forget + code, str(TOOL)))
    done = tiny_run.run([script], tmp_path / 'cwd')
    assert done.status == 1 and 'Traceback' not in done.err, done.err
    to_do = done.out.partition('to do:')[2]
    assert problem in to_do and remedy in to_do, done.out
    assert len(done.out.splitlines()) <= 27


def test_does_not_import_the_plugin_by_itself():
    code = (
        'import mspose_command, sys; mspose_command._load_alone("check_env"); print(*sys.modules)'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert 'mspose_command' in done.stdout.split()
    assert not {'mspose_plugin', 'mmpose', 'torch'} & set(done.stdout.split())
