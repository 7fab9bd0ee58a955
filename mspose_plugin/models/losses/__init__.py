"""Losses."""
from .structure_aware_loss import StructureAwareLoss

__all__ = ['StructureAwareLoss']
