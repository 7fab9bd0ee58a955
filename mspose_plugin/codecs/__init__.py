"""Keypoint codecs, in MMPose's ``KEYPOINT_CODECS``."""

from mspose_plugin.codecs.gaussian_heatmap import GaussianHeatmap

__all__ = ['GaussianHeatmap']
