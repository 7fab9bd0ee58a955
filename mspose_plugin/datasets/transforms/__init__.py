"""Pipeline steps that MMPose lacks."""
from .keypoint_masking import KeypointMasking
from .loading import LoadImageChecked
from .occlusion import MarkOccluded

__all__ = ['KeypointMasking', 'LoadImageChecked', 'MarkOccluded']
