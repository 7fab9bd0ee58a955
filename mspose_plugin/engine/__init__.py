"""Hooks and optimizer wrappers."""

from mspose_plugin.engine import hooks, optim_wrappers

__all__ = ['hooks', 'optim_wrappers']
