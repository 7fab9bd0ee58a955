"""What the C library does with memory that is freed."""

from __future__ import annotations

import ctypes

TRIM_THRESHOLD, MMAP_MAX = -1, -4
"""Names of options in glibc's malloc.h."""


def keep_freed_memory() -> bool:
    """Let glibc keep what is freed for what is asked for next, until the process ends.

    A training step on a CPU asks for the same tensors as the one before. By default glibc gives
    large ones back to the system in between, which clears every page of them anew.

    Returns:
        Whether the C library is one that can be told so.
    """
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # macOS, musl, Windows
        return False
    return bool(set_option(MMAP_MAX, 0) and set_option(TRIM_THRESHOLD, -1))
