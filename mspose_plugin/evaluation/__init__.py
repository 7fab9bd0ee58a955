"""Metrics: PCKh with the area under its curve (MPII), PCK (FLIC), COCO's AP; MPII's submission."""

from mspose_plugin.evaluation.calibration import ThresholdCalibration
from mspose_plugin.evaluation.coco_score import RescoredCocoMetric
from mspose_plugin.evaluation.metrics import BoxPCK, FlicPCK, PCKhAUC
from mspose_plugin.evaluation.mpii_submission import MpiiSubmission
from mspose_plugin.evaluation.pck import flic_pck, pckh
from mspose_plugin.evaluation.testing_cost import TestingCost

__all__ = [
    'BoxPCK',
    'FlicPCK',
    'MpiiSubmission',
    'PCKhAUC',
    'RescoredCocoMetric',
    'TestingCost',
    'ThresholdCalibration',
    'flic_pck',
    'pckh',
]
