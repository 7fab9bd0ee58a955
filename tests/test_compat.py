"""Each row of what the stack needs: broken without the adaptation, working with it."""

import json
import os
import subprocess
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.utils import is_installed
from mmpose.visualization import PoseLocalVisualizer
from mmpose.visualization.opencv_backend_visualizer import OpencvBackendVisualizer

from mspose_plugin import compat
from mspose_plugin.utils.mmcv_ops import Operators

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
FULL_MMCV = not isinstance(sys.modules.get('mmcv._ext'), Operators)
TODAY = np.lib.NumpyVersion(np.__version__) >= '2.4.0'

WITHOUT = '''
import json, os, sys, warnings
warnings.simplefilter('ignore')
results = {}

def attempt(name, function):
    try:
        function()
        results[name] = 'works'
    except BaseException as e:
        results[name] = f'{type(e).__name__}: {e}'

def models():
    import mmpose.models

def checkpoint():
    from mmengine.runner.checkpoint import _load_checkpoint
    _load_checkpoint(sys.argv[1], 'cpu', logger='silent')

def launcher():
    from mmengine.dist import init_dist
    os.environ.update(RANK='0', LOCAL_RANK='0', WORLD_SIZE='1', MASTER_ADDR='127.0.0.1',
                      MASTER_PORT='0')
    init_dist('pytorch', backend='gloo')

def packages():
    sys.modules['pkg_resources'] = None
    from mmengine.utils import is_installed
    is_installed('mmpose')

for function in (models, checkpoint, launcher, packages):
    attempt(function.__name__, function)
results['plugin'] = 'mspose_plugin' in sys.modules
print(json.dumps(results))
'''


@pytest.fixture(scope='module')
def without(tmp_path_factory):
    """What happens in a process that never imports the plugin."""
    folder = tmp_path_factory.mktemp('without')
    torch.save(dict(state_dict={}, message_hub=HistoryBuffer([1.0], [1])), folder / 'a.pth')
    done = subprocess.run(
        [sys.executable, '-c', WITHOUT, folder / 'a.pth'],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])
    assert not results['plugin']
    return results


def test_apply_is_complete_and_repeatable():
    before = dict(compat.REPORT)
    assert list(before) == list(compat.ADAPTATIONS)
    ops, loader = sys.modules['mmcv._ext'], OpencvBackendVisualizer.draw_circles
    assert compat.apply() == before
    assert sys.modules['mmcv._ext'] is ops and OpencvBackendVisualizer.draw_circles is loader


# ---------------------------------------------------------------- mmcv._ext


@pytest.mark.skipif(FULL_MMCV, reason='the full mmcv is installed')
def test_mmpose_models_need_the_stand_in(without):
    assert without['models'] == "ModuleNotFoundError: No module named 'mmcv._ext'"
    import mmpose.models  # noqa: F401


def test_full_mmcv_is_left_alone(monkeypatch):
    full = types.ModuleType('mmcv._ext')
    full.__spec__ = ModuleSpec('mmcv._ext', loader=object())
    monkeypatch.setitem(sys.modules, 'mmcv._ext', full)
    assert 'nothing replaced' in compat._provide_mmcv_ops()
    assert sys.modules['mmcv._ext'] is full


# ---------------------------------------------------------------- torch.load


def test_mmengine_cannot_read_its_checkpoints_alone(without, tmp_path):
    assert without['checkpoint'].startswith('UnpicklingError: Weights only load failed')
    from mmengine.runner.checkpoint import _load_checkpoint

    torch.save(dict(message_hub=HistoryBuffer([1.0], [1])), tmp_path / 'a.pth')
    assert _load_checkpoint(str(tmp_path / 'a.pth'))['message_hub'].mean() == 1


# ---------------------------------------------------------------- distributed without a GPU


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_launcher_needs_a_gpu_alone(without):  # with it: test_tools/test_train_test.py
    assert 'works' not in without['launcher'] and 'Error' in without['launcher']
    from mmengine.registry import MODEL_WRAPPERS
    from mmengine.runner import runner

    wrapper = MODEL_WRAPPERS.get('MMDistributedDataParallel')
    assert wrapper is runner.MMDistributedDataParallel
    torch.distributed.init_process_group(
        'gloo', store=torch.distributed.HashStore(), rank=0, world_size=1
    )
    try:
        assert wrapper(torch.nn.Linear(1, 1), device_ids=[0]).device_ids is None
    finally:
        torch.distributed.destroy_process_group()


# ---------------------------------------------------------------- NumPy 2.4


@pytest.mark.skipif(not TODAY, reason='NumPy still converts such arrays')
def test_drawing_keypoints():
    visualizer = PoseLocalVisualizer(backend='opencv')
    visualizer.set_image(np.zeros((9, 9, 3), np.uint8))
    circle = np.array([4, 4]), np.array([2])
    with pytest.raises(TypeError, match='0-dimensional'):
        OpencvBackendVisualizer.draw_circles.__wrapped__(visualizer, *circle, (255, 0, 0))
    visualizer.draw_circles(*circle, (255, 0, 0))
    assert visualizer.get_image()[4, 4].tolist() == [255, 0, 0]


# ---------------------------------------------------------------- what has to be installed


def one_line(error) -> str:
    text = str(error.value)
    assert '\n' not in text
    return text


def test_missing_pkg_resources(without, monkeypatch):
    assert 'ModuleNotFoundError' in without['packages']
    assert is_installed('mmpose')
    monkeypatch.setitem(sys.modules, 'pkg_resources', None)
    with pytest.raises(ImportError) as e:
        compat._require_pkg_resources()
    assert "run pip install 'setuptools<81'" in one_line(e)


def test_pkg_resources_not_needed_by_a_later_mmengine(monkeypatch, tmp_path):
    (tmp_path / 'mmengine/utils').mkdir(parents=True)
    (tmp_path / 'mmengine/utils/package_utils.py').write_text('import importlib.metadata')
    spec = ModuleSpec('mmengine', None, origin=str(tmp_path / 'mmengine/__init__.py'))
    monkeypatch.setattr(
        compat.importlib.util, 'find_spec', {'mmengine': spec, 'pkg_resources': None}.get
    )
    assert compat._require_pkg_resources() == 'not needed by this mmengine'


@pytest.mark.parametrize(
    'error',
    [
        ValueError('numpy.dtype size changed, may indicate binary incompatibility.\nExpected 96'),
        ModuleNotFoundError("No module named 'xtcocotools'"),
    ],
)
def test_xtcocotools_of_another_numpy(monkeypatch, error):
    class Broken:
        @staticmethod
        def find_spec(name, *_):
            if name == 'xtcocotools._mask':
                raise error

    monkeypatch.delitem(sys.modules, 'xtcocotools._mask')
    monkeypatch.setattr(sys, 'meta_path', [Broken, *sys.meta_path])
    with pytest.raises(ImportError) as e:
        compat._require_xtcocotools()
    assert '--no-build-isolation --no-binary xtcocotools' in one_line(e)


def test_mmcv_that_mmdet_asserts_against(monkeypatch):
    monkeypatch.setattr(mmcv, '__version__', '2.2.0')
    monkeypatch.delitem(sys.modules, 'mmdet')
    with pytest.raises(ImportError) as e:
        compat._require_mmcv()
    assert (
        "mmdet: MMCV==2.2.0 is used but incompatible: run pip install 'mmcv-lite==2.1.0'"
        in one_line(e)
    )


@pytest.mark.parametrize(
    'name, wanted', [('mmcv', 'mmcv-lite==2.1.0'), ('mmpose', 'mmpose==1.3.2')]
)
def test_missing_package(monkeypatch, name, wanted):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=f"{name} is missing: run pip install '{wanted}'"):
        compat._require_mmcv()


def test_chumpy_is_never_imported():
    import mmpose.apis  # noqa: F401

    assert 'chumpy' not in sys.modules


@pytest.mark.parametrize('tool', ['train.py', 'test.py'])
def test_tools_say_it_in_one_line(tool):
    code = (
        "import runpy, sys; sys.modules['pkg_resources'] = None; "
        "runpy.run_path(sys.argv[1], run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, '-c', code, CONFIGS.parent / 'tools' / tool],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1 and done.stderr.count('\n') == 1
    assert done.stderr.startswith('error: mmengine imports pkg_resources')


# ---------------------------------------------------------------- configs


def test_bases_are_relative_because_packages_do_not_resolve(tmp_path, monkeypatch):
    (tmp_path / 'a.py').write_text("_base_ = 'mspose_plugin::a.py'")
    with pytest.raises(Exception, match='please specify the package name'):
        Config.fromfile(tmp_path / 'a.py')
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile(CONFIGS / 'msspose_hourglass8_mpii.py')
    assert cfg.custom_imports.imports == ['mspose_plugin']


def test_importing_is_quiet():
    env = {**os.environ, 'PYTHONWARNINGS': 'default'}
    done = subprocess.run(
        [sys.executable, '-c', 'import mspose_plugin'],
        env=env,
        timeout=300,
        capture_output=True,
        text=True,
        cwd='/',
    )
    assert done.returncode == 0 and not done.stdout
    own = str(CONFIGS.parent)
    assert not [
        line for line in done.stderr.splitlines() if line.startswith(own) and '.venv' not in line
    ], done.stderr
    assert 'pkg_resources' not in done.stderr
