"""Freed memory that stays with the process."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
from mspose_plugin.utils.memory import keep_freed_memory
if sys.argv[1] == 'keep':
    assert keep_freed_memory()
def work():
    for _ in range(5):
        [torch.ones(2**24) for _ in range(2)]  # more than glibc ever keeps by itself
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='an option of glibc')
def test_pages_are_not_cleared_again():
    given, kept = (
        int(subprocess.run([sys.executable, '-c', FAULTS, how], capture_output=True).stdout)
        for how in ('give', 'keep')
    )
    assert kept < 0.01 * given
