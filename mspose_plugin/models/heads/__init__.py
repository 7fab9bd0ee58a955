"""Heads."""
from .answer_head import AnswerHead, heatmap_accuracy
from .mlpe_head import MLPEHead
from .msr_head import MSRHead
from .mss_head import MSSHead

__all__ = ['AnswerHead', 'MLPEHead', 'MSRHead', 'MSSHead', 'heatmap_accuracy']
