"""Datasets (MPII, FLIC) and pipeline steps."""
from . import transforms
from .flic import FlicDataset
from .mpii import ZeroBasedMpiiDataset

__all__ = ['FlicDataset', 'ZeroBasedMpiiDataset', 'transforms']
