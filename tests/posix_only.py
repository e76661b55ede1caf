"""What POSIX systems alone have: a test that uses it is skipped elsewhere, and its file can still be imported."""

import os
import signal

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
