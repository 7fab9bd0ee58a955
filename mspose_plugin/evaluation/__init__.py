"""Metrics: PCKh with the area under its curve (MPII), PCK (FLIC), COCO's AP; MPII's submission."""
from .calibration import ThresholdCalibration
from .coco_score import RescoredCocoMetric
from .metrics import FlicPCK, PCKhAUC
from .mpii_submission import MpiiSubmission
from .pck import flic_pck, pckh

__all__ = ['FlicPCK', 'MpiiSubmission', 'PCKhAUC', 'RescoredCocoMetric', 'ThresholdCalibration',
           'flic_pck', 'pckh']
