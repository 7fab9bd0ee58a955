"""What ``pyproject.toml`` cannot say: wheels carry configs and tools as OpenMMLab's packages do.

``mspose_plugin/.mim`` is where ``mim train mspose_plugin`` and :mod:`mspose_plugin` look for them.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


class BuildWithMIM(build_py):
    """Copy into the built package what lies beside it in the repository."""

    def run(self) -> None:
        """Build; an editable installation finds the repository's own."""
        super().run()
        if self.editable_mode:
            return
        mim = Path(self.build_lib) / 'mspose_plugin/.mim'
        shutil.rmtree(mim, ignore_errors=True)
        for folder in ('configs', 'tools'):
            shutil.copytree(
                ROOT / folder, mim / folder, ignore=shutil.ignore_patterns('__pycache__', '*.pyc')
            )
        shutil.copy(ROOT / 'model-index.yml', mim)


setup(cmdclass=dict(build_py=BuildWithMIM))
