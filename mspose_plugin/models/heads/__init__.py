"""Heads."""

from mspose_plugin.models.heads.base_heatmap_head import BaseHeatmapHead, heatmap_accuracy
from mspose_plugin.models.heads.mlpe_head import MLPEHead
from mspose_plugin.models.heads.msr_head import MSRHead
from mspose_plugin.models.heads.mss_head import MSSHead

__all__ = ['BaseHeatmapHead', 'MLPEHead', 'MSRHead', 'MSSHead', 'heatmap_accuracy']
