"""Metrics: PCKh with the area under its curve (MPII) and PCK (FLIC)."""
from .metrics import FlicPCK, PCKhAUC
from .pck import flic_pck, pckh

__all__ = ['FlicPCK', 'PCKhAUC', 'flic_pck', 'pckh']
