"""Pose estimators."""

from mspose_plugin.models.pose_estimators.conditional_topdown import ConditionalTopdownPoseEstimator

__all__ = ['ConditionalTopdownPoseEstimator']
