"""What this process holds at its peak, and how what was freed goes back to the system.

Batches differ in length, so every step asks for blocks of other sizes. The C library of Linux keeps what
is freed, and the next block seldom fits into the holes: without this, a training's memory grows with the
number of its steps, and so with its languages.
"""

from __future__ import annotations

import ctypes
import gc
import re
import sys
from contextlib import suppress
from pathlib import Path


def release_freed_memory() -> None:
    """Return to the system whatever this process has freed, where the C library is glibc.

    Costs some hundredths of a second: for every so many steps, not for each.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library, which may have no such function
            ctypes.CDLL(None).malloc_trim(0)


def forget_peak() -> None:
    """Begin to measure anew, where the system can (Linux): reading a checkpoint is not training."""
    gc.collect()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int | None:
    """Return the most memory that this process held since the peak was forgotten; None where it is not known."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux: its getrusage starts at what the parent held
        found = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), flags=re.MULTILINE)
        return int(found[1]) * 1024 if found else None
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
