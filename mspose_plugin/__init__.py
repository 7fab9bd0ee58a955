"""MSPose: MSSPose (ECCV 2018) and MLPE (ICRA 2021) for MMPose 1.x.

``import mspose_plugin`` adapts the installed OpenMMLab releases to today's PyTorch and registers
every component; a config gets there through ``custom_imports = dict(imports=['mspose_plugin'])``.
"""

from mspose_plugin import compat

compat.apply()

from mspose_plugin import codecs, datasets, engine, evaluation, export, models  # noqa: E402
from mspose_plugin.apis import PosePredictor, PoseResult  # noqa: E402
from mspose_plugin.checkpoint import hooks, strict_loading  # noqa: E402, F401 registered

__all__ = [
    'PosePredictor',
    'PoseResult',
    'codecs',
    'compat',
    'datasets',
    'engine',
    'evaluation',
    'export',
    'models',
    '__version__',
]
__version__ = '0.1.0'
