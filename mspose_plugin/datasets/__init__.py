"""Datasets (MPII, FLIC, COCO) and pipeline steps."""

from mspose_plugin.datasets import transforms
from mspose_plugin.datasets.coco import CheckedCocoDataset
from mspose_plugin.datasets.flic import FlicDataset
from mspose_plugin.datasets.mpii import ZeroBasedMpiiDataset
from mspose_plugin.datasets.samplers import RandomPersons

__all__ = [
    'CheckedCocoDataset',
    'FlicDataset',
    'RandomPersons',
    'ZeroBasedMpiiDataset',
    'transforms',
]
