"""Necks."""
from .multi_level_neck import FeatureEnhancement, MultiLevelNeck

__all__ = ['FeatureEnhancement', 'MultiLevelNeck']
