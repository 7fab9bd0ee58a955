"""What ``tools/benchmark.py`` measures, a module for each of its sub-commands.

A module has ``add_to(parser)``, which adds its arguments, and ``comparisons(args)``, whose
docstring describes the sub-command; or, instead of the latter, ``main(args)``, which does all.
"""

from mspose_plugin.benchmarks import export, hourglass, loss, masking, parts, peers

BENCHMARKS = dict(
    hourglass=hourglass, loss=loss, masking=masking, parts=parts, export=export, peers=peers
)
"""Name of the sub-command and its module."""
