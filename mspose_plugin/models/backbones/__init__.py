"""Backbones."""
from .multiscale_hourglass import MultiScaleHourglass

__all__ = ['MultiScaleHourglass']
