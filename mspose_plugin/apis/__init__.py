"""What users call."""

from mspose_plugin.apis.pose_result import PoseResult
from mspose_plugin.apis.predictor import PosePredictor

__all__ = ['PosePredictor', 'PoseResult']
