"""A process that is asked to end cleans up as one that is interrupted from the keyboard does.

By default a signal such as SIGTERM, which ``kill``, schedulers and containers send, ends Python at once: no
temporary file is removed, no child is told.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ASKED_TO_END = (signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
"""From ``kill`` and schedulers; from a terminal that is closed, which Windows does not have."""

EXIT_CODES = (130, *(128 + number for number in ASKED_TO_END))
"""How a stopped process ends: after Ctrl-C, and after each of those signals."""


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Turn the first signal that asks this process to end into ``SystemExit``; a second one ends it at once.

    A signal that is ignored, as under ``nohup``, or that somebody else handles, is left alone; so are all of them
    outside the main thread, which alone may set them.
    """
    main = threading.current_thread() is threading.main_thread()
    ours = [number for number in ASKED_TO_END if main and signal.getsignal(number) is signal.SIG_DFL]

    def end(number: int, frame: FrameType | None) -> None:
        for one in ours:
            signal.signal(one, signal.SIG_DFL)
        raise SystemExit(128 + number)

    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
