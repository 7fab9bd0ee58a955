"""Let OpenMMLab's and xtcocotools' ``setup.py`` run on Python 3.13; on the path while they build.

They ``exec`` a version file within a function and read the version from ``locals()``. Since
Python 3.13 (PEP 667) ``exec`` leaves nothing there, unless it is given the frame's own variables.
"""

import builtins
import sys

_exec = builtins.exec


def _exec_in_frame(code, *namespaces, **options):
    frame = sys._getframe(1)
    _exec(code, *(namespaces or (frame.f_globals, frame.f_locals)), **options)


builtins.exec = _exec_in_frame
