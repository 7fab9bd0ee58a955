"""The ``mspose`` command, a module for each sub-command; ``mspose_command`` starts them."""

from mspose_command import main

__all__ = ['main']
