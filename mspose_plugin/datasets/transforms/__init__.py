"""Pipeline steps that MMPose lacks."""

from mspose_plugin.datasets.transforms.bordered_affine import BorderedTopdownAffine
from mspose_plugin.datasets.transforms.box_augmentation import FastRandomBBoxTransform
from mspose_plugin.datasets.transforms.color import RandomChannelScale
from mspose_plugin.datasets.transforms.keypoint_masking import KeypointMasking
from mspose_plugin.datasets.transforms.loading import LoadImageChecked
from mspose_plugin.datasets.transforms.occlusion import IgnoreCroppedKeypoints, MarkOccluded
from mspose_plugin.datasets.transforms.original_image import KeepOriginalImage
from mspose_plugin.datasets.transforms.person_loading import LoadPersonImage

__all__ = [
    'BorderedTopdownAffine',
    'FastRandomBBoxTransform',
    'IgnoreCroppedKeypoints',
    'KeepOriginalImage',
    'KeypointMasking',
    'LoadImageChecked',
    'LoadPersonImage',
    'MarkOccluded',
    'RandomChannelScale',
]
