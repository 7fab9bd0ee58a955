"""Pipeline steps that MMPose lacks."""
from .bordered_affine import BorderedTopdownAffine
from .color import RandomChannelScale
from .keypoint_masking import KeypointMasking
from .loading import LoadImageChecked
from .occlusion import IgnoreCroppedKeypoints, MarkOccluded

__all__ = [
    'BorderedTopdownAffine',
    'IgnoreCroppedKeypoints',
    'KeypointMasking',
    'LoadImageChecked',
    'MarkOccluded',
    'RandomChannelScale',
]
