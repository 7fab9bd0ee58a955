"""Datasets (MPII, FLIC, COCO) and pipeline steps."""
from . import transforms
from .coco import CheckedCocoDataset
from .flic import FlicDataset
from .mpii import ZeroBasedMpiiDataset
from .samplers import RandomPersons

__all__ = ['CheckedCocoDataset', 'FlicDataset', 'RandomPersons', 'ZeroBasedMpiiDataset',
           'transforms']
