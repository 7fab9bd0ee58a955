"""Losses."""
from .hard_keypoint_loss import HardKeypointMSELoss
from .structure_aware_loss import StructureAwareLoss

__all__ = ['HardKeypointMSELoss', 'StructureAwareLoss']
