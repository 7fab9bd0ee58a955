"""What users call."""

from mspose_plugin.apis.heatmaps import PersonHeatmaps
from mspose_plugin.apis.pose_result import PoseResult, Trials
from mspose_plugin.apis.predictor import PosePredictor

__all__ = ['PersonHeatmaps', 'PosePredictor', 'PoseResult', 'Trials']
