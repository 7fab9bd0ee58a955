"""Backbones."""

from mspose_plugin.models.backbones.multiscale_hourglass import MultiScaleHourglass

__all__ = ['MultiScaleHourglass']
