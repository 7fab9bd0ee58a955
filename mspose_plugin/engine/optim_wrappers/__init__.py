"""Optimizer wrappers."""

from mspose_plugin.engine.optim_wrappers.autocast_optim_wrapper import AutocastOptimWrapper

__all__ = ['AutocastOptimWrapper']
