"""Losses."""

from mspose_plugin.models.losses.hard_keypoint_loss import HardKeypointMSELoss
from mspose_plugin.models.losses.structure_aware_loss import StructureAwareLoss

__all__ = ['HardKeypointMSELoss', 'StructureAwareLoss']
