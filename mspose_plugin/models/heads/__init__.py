"""Heads."""
from .msr_head import MSRHead
from .mss_head import MSSHead, heatmap_accuracy

__all__ = ['MSRHead', 'MSSHead', 'heatmap_accuracy']
