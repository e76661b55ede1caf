"""Memory that was freed goes back to the system.

Batches differ in length, so every step asks for blocks of other sizes. The C library of Linux keeps what
is freed, and the next block seldom fits into the holes: without this, a training's memory grows with the
number of its steps, and so with its languages.
"""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress


def release_freed_memory() -> None:
    """Return to the system whatever this process has freed, where the C library is glibc.

    Costs some hundredths of a second: for every so many steps, not for each.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library, which may have no such function
            ctypes.CDLL(None).malloc_trim(0)
