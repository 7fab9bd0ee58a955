"""What users call."""

from mspose_plugin.apis.heatmaps import PersonHeatmaps
from mspose_plugin.apis.pose_result import PoseResult, Trials
from mspose_plugin.apis.predictor import PosePredictor
from mspose_plugin.apis.tracks import TrackFile, read_tracks

__all__ = ['PersonHeatmaps', 'PosePredictor', 'PoseResult', 'TrackFile', 'Trials', 'read_tracks']
