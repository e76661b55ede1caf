"""What POSIX systems alone have: a test that uses it is skipped elsewhere, and its file can still be imported."""

import os
import signal
import time
from pathlib import Path

import pytest


def make_pipe(path):
    """Make a pipe that has a name."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no pipes with names in folders")
    os.mkfifo(path)


def signal_called(name):
    """Return the number of a signal."""
    if not hasattr(signal, name):
        pytest.skip(f"this system has no {name}")
    return getattr(signal, name)


def has_ended(process):
    """Return whether a process, by its number, is none any more within ten seconds; what nobody waited for counts."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("this system does not list its processes as files")
    for _ in range(200):
        try:
            state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False
