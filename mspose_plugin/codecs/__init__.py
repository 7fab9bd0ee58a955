"""Keypoint codecs, in MMPose's ``KEYPOINT_CODECS``."""
from .gaussian_heatmap import GaussianHeatmap

__all__ = ['GaussianHeatmap']
