"""What ``mspose gpu-check`` looks at on a machine with a GPU, a module for each of its parts.

A part is a generator of rows, ``part(settings, deadline)``, that runs in a process of its own
(:mod:`~mspose_plugin.gpu_check.running`); what fails, runs out of memory or does not fit into the
time any more is a row as well (:mod:`~mspose_plugin.gpu_check.rows`).
"""
