"""A disk without room, by a limit that the system itself puts on files."""

from contextlib import contextmanager

import pytest


@contextmanager
def full_disk(room=64):
    """Let the system refuse whatever a file would hold beyond ``room`` bytes; what it says is "File too large"."""
    resource = pytest.importorskip("resource", reason="this system has no limit for the sizes of files")
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))
