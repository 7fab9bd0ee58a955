"""What ``tools/benchmark.py`` measures, a module for each of its sub-commands.

A module has ``add_to(parser)``, which adds its arguments, and ``comparisons(args)``, whose
docstring describes the sub-command: what is to be timed, or lines of the table; or, instead of the
latter, ``main(args)``, which does all.
"""

from mspose_plugin.benchmarks import (
    allocator,
    arithmetic,
    export,
    hourglass,
    loss,
    masking,
    memory,
    metric,
    parts,
    peers,
    pipeline,
)

BENCHMARKS = dict(
    hourglass=hourglass,
    loss=loss,
    masking=masking,
    pipeline=pipeline,
    parts=parts,
    arithmetic=arithmetic,
    allocator=allocator,
    memory=memory,
    metric=metric,
    export=export,
    peers=peers,
)
"""Name of the sub-command and its module."""
