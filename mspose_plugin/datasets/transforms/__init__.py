"""Pipeline steps that MMPose lacks."""

from mspose_plugin.datasets.transforms.bordered_affine import BorderedTopdownAffine
from mspose_plugin.datasets.transforms.color import RandomChannelScale
from mspose_plugin.datasets.transforms.keypoint_masking import KeypointMasking
from mspose_plugin.datasets.transforms.loading import LoadImageChecked
from mspose_plugin.datasets.transforms.occlusion import IgnoreCroppedKeypoints, MarkOccluded
from mspose_plugin.datasets.transforms.original_image import KeepOriginalImage

__all__ = [
    'BorderedTopdownAffine',
    'IgnoreCroppedKeypoints',
    'KeepOriginalImage',
    'KeypointMasking',
    'LoadImageChecked',
    'MarkOccluded',
    'RandomChannelScale',
]
