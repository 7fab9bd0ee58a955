"""Pose estimators."""
from .conditional_topdown import ConditionalTopdownPoseEstimator
from .recrop import KeepOriginalImage
from .testing_cost import TestingCost

__all__ = ['ConditionalTopdownPoseEstimator', 'KeepOriginalImage', 'TestingCost']
