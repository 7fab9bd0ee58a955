"""Package metadata; ``make setup`` installs it with everything it needs into ``.venv``."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r"__version__ = '(.+)'", (ROOT / 'mspose_plugin/__init__.py').read_text())[1]

setup(
    name='mspose-plugin',
    version=VERSION,
    description='MSSPose (ECCV 2018) and MLPE (ICRA 2021) for MMPose 1.x',
    long_description=(ROOT / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['mspose_plugin', 'mspose_plugin.*']),
    py_modules=['mspose_command'],
    entry_points=dict(console_scripts=['mspose = mspose_command:main']),
    python_requires='>=3.11,<3.12',
    # Ranges that the test suite ran with; see README, "Install".
    install_requires=[
        'mmpose==1.3.2',
        'mmengine==0.10.7',
        'mmdet==3.2.0',
        'mmcv-lite==2.1.0',
        'torch>=2.14,<2.16',
        'torchvision>=0.29,<0.30',
        'numpy>=2.4,<2.5',
        'opencv-python>=5.0,<5.1',
        'scipy>=1.17,<1.18',
        'xtcocotools>=1.14,<1.15',
        'h5py>=3.16,<4',
        'rich>=13,<16',
        'filelock>=4.2,<5',
        'setuptools<81',  # mmengine imports pkg_resources
    ],
    extras_require={
        'test': [
            'pytest>=9,<10',
            'pytest-xdist>=3.8,<4',
            'ruff>=0.17,<0.18',
            'tensorboard>=2.20,<3',
            'timm>=1.0,<2',
        ],
    },
)
