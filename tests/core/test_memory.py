"""What was freed does not stay with the process."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
from lingraft.core.memory import release_freed_memory

def resident():
    lines = open("/proc/self/status").read().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

before = resident()
blocks = [b"x" * (100 << 10) for _ in range(401)]  # each below the size that is mapped by itself
full = resident()
del blocks[:-1]  # the last lies above the hole that the others leave
kept = resident()
release_freed_memory()
print(full - before, kept - before, resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library returns memory as it likes")
def test_freed_memory_goes_back_to_the_system():
    """Also where a block that is still in use lies above it, which is when the library keeps it by itself."""
    printed = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    full, kept, left = (int(kilobytes) for kilobytes in printed.split())

    assert full > 40_000
    assert kept > 0.9 * full
    assert left < 0.1 * full
