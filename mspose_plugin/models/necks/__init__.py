"""Necks."""

from mspose_plugin.models.necks.multi_level_neck import FeatureEnhancement, MultiLevelNeck

__all__ = ['FeatureEnhancement', 'MultiLevelNeck']
