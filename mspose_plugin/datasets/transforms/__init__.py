"""Pipeline steps that MMPose lacks."""
from .keypoint_masking import KeypointMasking
from .loading import LoadImageChecked

__all__ = ['KeypointMasking', 'LoadImageChecked']
