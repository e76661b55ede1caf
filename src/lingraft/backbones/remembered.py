"""Digests of a checkpoint's files, remembered for as long as the files are the same ones.

Hashing half a gigabyte takes longer than a prediction. A file is the same one while its device,
inode, size, time of modification and time of change are: no program can set the last. What rots on
a disk keeps them all, so a record counts for a week only, and a training never asks for one.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from ..core.errors import LingraftError
from ..core.files import cache_root, write_json
from ..core.outside import parse_object, read_bytes
from ..core.version import __version__

BELIEVED = 7 * 24 * 3600.0
"""Seconds after which a record is no longer believed."""
SETTLED = 2.0
"""Seconds that a file must have lain still: within the clock's grain a second change would not show."""

Stamps = Mapping[str, list[int]]
"""What tells each file of a folder from any other, and from itself before a change."""


def stamp_files(folder: Path) -> Stamps:
    """Return the identity of each file of ``folder`` (of what a link points to) by its name."""
    found = {}
    for path in sorted(path for path in folder.iterdir() if path.exists()):
        status = path.stat()
        found[path.name] = [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
    return found


def recall_digests(folder: Path) -> dict[str, str] | None:
    """Return the digests that were noted for ``folder``; None if its files, or who reads them, changed since."""
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError, LingraftError):
        record = parse_object(read_bytes(_path(folder)), "")
        young = 0 <= time.time() - record["time"] < BELIEVED
        if young and record["readers"] == _readers() and record["files"] == stamp_files(folder):
            return {str(name): str(value) for name, value in record["digests"].items()}
    return None


def note_digests(folder: Path, seen: Stamps, digests: Mapping[str, str]) -> None:
    """Keep ``digests``, made of files that were as in ``seen``; not where those have changed, or only just before."""
    now = time.time()
    record = {"time": now, "readers": _readers(), "files": seen, "digests": dict(digests)}
    with suppress(OSError, LingraftError):  # a cache that we may only read makes the next start slower, no more
        if stamp_files(folder) == seen and all(stamp[-1] / 1e9 < now - SETTLED for stamp in seen.values()):
            write_json(_path(folder), record)


def _readers() -> dict[str, str]:
    """Return what makes parameters and a tokenizer of the files; another version may make others."""
    names = ("torch", "transformers", "tokenizers", "safetensors")
    return {"lingraft": __version__, **{name: version(name) for name in names}}


def _path(folder: Path) -> Path:
    name = hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return cache_root() / "digests" / f"{name}.json"
