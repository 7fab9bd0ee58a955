"""Heads."""

from mspose_plugin.models.heads.answer_head import AnswerHead, heatmap_accuracy
from mspose_plugin.models.heads.mlpe_head import MLPEHead
from mspose_plugin.models.heads.msr_head import MSRHead
from mspose_plugin.models.heads.mss_head import MSSHead

__all__ = ['AnswerHead', 'MLPEHead', 'MSRHead', 'MSSHead', 'heatmap_accuracy']
