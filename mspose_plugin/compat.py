"""What today's PyTorch, NumPy and mmcv-lite need from the OpenMMLab releases.

:func:`apply` is called by ``import mspose_plugin``, before anything of MMPose is imported. Each
adaptation looks first whether it is needed and steps aside where a release has fixed the matter
or the full ``mmcv`` is installed; :data:`REPORT` tells what was done, for ``mspose check-env``.

==================  ===============================================================
``pkg_resources``   mmengine needs setuptools < 81 at run time: said in one line
``xtcocotools``     a wheel built for NumPy 1: said in one line
``mmcv``            a release that MMPose or mmdet asserts against: said in one line
``mmcv._ext``       stand-in on torchvision where only mmcv-lite is there (``utils/mmcv_ops``)
``torch.load``      checkpoints read by PyTorch's ``weights_only`` unpickler (``checkpoint``)
``torch.cuda``      distributed runs on a machine without a GPU: gloo, no ``device_ids``
``numpy``           drawn keypoints: MMPose calls ``int()`` on an array of one element
``mmpose.apis``     size of rotated photos, broken inputs, strict loading (``inference``)
==================  ===============================================================

``chumpy``, which MMPose requires and never imports, is a matter of installation alone.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
import sys
import warnings
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

REPORT: dict[str, str] = {}
"""What :func:`apply` did, by subject; filled once per process."""


def apply() -> dict[str, str]:
    """Adapt the installed releases to each other; a second call does nothing.

    Returns:
        Subject -> what was done or why nothing was needed.

    Raises:
        ImportError: a package is missing or does not go with another; the message is one line
            that says what to install.
    """
    for subject, adapt in ADAPTATIONS.items():
        if subject not in REPORT:
            REPORT[subject] = adapt()
    return REPORT


def _require_pkg_resources() -> str:
    # mmengine imports and reloads it, each time with a warning that its users cannot act on
    warnings.filterwarnings('ignore', message='pkg_resources is deprecated', category=UserWarning)
    if importlib.util.find_spec('pkg_resources') is not None:
        return 'there (setuptools < 81 ships it, mmengine needs it)'
    spec = importlib.util.find_spec('mmengine')
    source = Path(spec.origin or '').parent / 'utils/package_utils.py' if spec else None
    if source and source.is_file() and 'pkg_resources' in source.read_text():
        raise ImportError(
            'mmengine imports pkg_resources, which setuptools 81 removed: run pip '
            "install 'setuptools<81'"
        )
    return 'not needed by this mmengine'


def _require_xtcocotools() -> str:
    try:
        import xtcocotools._mask  # noqa: F401
    except (ImportError, ValueError) as e:
        reason = str(e).splitlines()[0]
        raise ImportError(
            f'xtcocotools does not load with this NumPy ({reason}): run pip install cython numpy, '
            'then pip install --force-reinstall --no-deps --no-build-isolation '
            '--no-binary xtcocotools xtcocotools'
        ) from e
    return 'built for the installed NumPy'


def _require_mmcv() -> str:
    for name, wanted in (('mmcv', 'mmcv-lite==2.1.0'), ('mmpose', 'mmpose==1.3.2')):
        if importlib.util.find_spec(name) is None:
            raise ImportError(f"{name} is missing: run pip install '{wanted}'")
    for name in ('mmpose', 'mmdet'):
        if importlib.util.find_spec(name) is not None:
            try:
                importlib.import_module(name)  # nothing but the check of versions
            except AssertionError as e:
                reason = re.sub(r'\. Please.*', '', str(e), flags=re.DOTALL)
                raise ImportError(
                    f"{name}: {reason}: run pip install 'mmcv-lite==2.1.0' "
                    "'mmengine==0.10.7' 'mmdet==3.2.0'"
                ) from e
    return f'{sys.modules["mmcv"].__version__} goes with mmpose and mmdet'


def _provide_mmcv_ops() -> str:
    from mspose_plugin.utils.mmcv_ops import Operators

    if isinstance(sys.modules.get('mmcv._ext'), Operators):
        return 'stand-in already in place'
    if importlib.util.find_spec('mmcv._ext') is not None:
        return 'the full mmcv is installed, nothing replaced'
    module = Operators('mmcv._ext', 'Stand-in for the compiled operators of mmcv.')
    # loader None: mmengine's mmcv_full_available() keeps answering False
    module.__spec__ = ModuleSpec('mmcv._ext', loader=None)
    sys.modules['mmcv._ext'] = module
    return "stand-in (mmcv-lite has no compiled operators); nms, roi_align are torchvision's"


def _guard_checkpoints() -> str:
    from mspose_plugin.checkpoint import loading

    return loading.register()


def _allow_cpu_distributed() -> str:
    """Let ``--launcher`` run where there is no accelerator, with whichever tool.

    mmengine's launcher calls ``torch.cuda.set_device`` whatever the back-end, and its Runner wraps
    the model with ``device_ids``. The Runner finds both by these names.
    """
    import torch
    from mmengine.device import get_device
    from mmengine.registry import MODEL_WRAPPERS
    from mmengine.runner import runner

    if get_device() not in ('cpu', 'mps'):
        return f'not needed with {get_device()}'
    init_dist = runner.init_dist

    def init_cpu(launcher: str, backend: str = 'nccl', **kwargs: Any) -> None:
        set_device, torch.cuda.set_device = torch.cuda.set_device, lambda device: None
        try:
            init_dist(launcher, 'gloo' if backend == 'nccl' else backend, **kwargs)
        finally:
            torch.cuda.set_device = set_device

    class CPUDistributedDataParallel(runner.MMDistributedDataParallel):
        def __init__(self, module, *args: Any, device_ids: Any = None, **kwargs: Any) -> None:
            super().__init__(module, *args, **kwargs)

    runner.init_dist, runner.MMDistributedDataParallel = init_cpu, CPUDistributedDataParallel
    MODEL_WRAPPERS.register_module(
        name='MMDistributedDataParallel', module=CPUDistributedDataParallel, force=True
    )
    return 'gloo and no device_ids (there is no GPU)'


def _draw_with_numpy_2_4() -> str:
    """Let MMPose draw keypoints: ``int()`` of a one-element array is an error since NumPy 2.4."""
    import numpy as np
    from mmpose.visualization.opencv_backend_visualizer import OpencvBackendVisualizer

    if np.lib.NumpyVersion(np.__version__) < '2.4.0':
        return 'not needed with this NumPy'
    original = OpencvBackendVisualizer.draw_circles

    @functools.wraps(original)
    def draw_circles(self, center, radius, *args: Any, **kwargs: Any):
        if self.backend == 'opencv':
            radius = np.asarray(radius).reshape(())
        return original(self, center, radius, *args, **kwargs)

    OpencvBackendVisualizer.draw_circles = draw_circles
    return "MMPose's drawing of keypoints takes its radius as a number"


def _let_inference_fail_well() -> str:
    from mspose_plugin.apis import inference

    return inference.adapt()


ADAPTATIONS: dict[str, Callable[[], str]] = {
    'pkg_resources': _require_pkg_resources,
    'xtcocotools': _require_xtcocotools,
    'mmcv': _require_mmcv,
    'mmcv._ext': _provide_mmcv_ops,
    'torch.load': _guard_checkpoints,
    'torch.cuda': _allow_cpu_distributed,
    'numpy': _draw_with_numpy_2_4,
    'mmpose.apis': _let_inference_fail_well,
}
"""Subject -> what adapts it, in the order in which they are needed."""
