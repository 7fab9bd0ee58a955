"""Metrics: PCKh with the area under its curve (MPII) and PCK (FLIC)."""
from .coco_score import RescoredCocoMetric
from .metrics import FlicPCK, PCKhAUC
from .pck import flic_pck, pckh

__all__ = ['FlicPCK', 'MpiiSubmission', 'PCKhAUC', 'RescoredCocoMetric', 'flic_pck', 'pckh']
