"""The files of the state cache as the file system tells of them: what is there, how much it takes, what may go.

No state is read here and no torch is needed, so asking how large the cache is costs nothing. A folder for each
*space* holds its shards; :mod:`lingraft.backbones.shards` says what is in one.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from .errors import CacheError
from .files import cache_root, leftovers, locked, locked_or_refused

ABANDONED = 24 * 3600.0
"""Seconds after which nobody writes a temporary file any more."""

_SHARD = re.compile(r"[0-9a-f]{32}-[0-9a-f]{8}\.safetensors")
_SPACE = re.compile(r"[0-9a-f]{64}")
_FORMER = re.compile(r"[0-9a-f]{64}\.(safetensors|lock)")  # before texts had shards, a list of texts had a file

FileIdentity = tuple[int, int, int]
"""What tells a file from any other: device, inode, size."""


def states_folder() -> Path:
    """Return where spaces live, unless a caller says otherwise."""
    return cache_root() / "states"


def space_lock(space: Path) -> Path:
    """Return the lock file of a space."""
    return space / "space.lock"


def folder_lock(folder: Path) -> Path:
    """Return the lock file of all spaces."""
    return folder / "folder.lock"


# ---- What is there ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShardFile:
    """A shard as the file system tells of it."""

    path: Path
    identity: FileIdentity
    size: int
    used: int  # nanoseconds


def identity_of(status: os.stat_result) -> FileIdentity:
    """Return what tells a file from any other."""
    return status.st_dev, status.st_ino, status.st_size


def list_shards(folder: Path) -> Iterator[ShardFile]:
    """Yield the shards in a folder; none where there is no folder.

    Raises:
        CacheError: Something else than a regular file has the name of a shard.
    """
    with suppress(FileNotFoundError):
        for path in sorted(folder.iterdir()):
            if _SHARD.fullmatch(path.name):
                with suppress(FileNotFoundError):  # another process may be pruning
                    status = path.lstat()
                    if not stat.S_ISREG(status.st_mode):
                        raise CacheError(
                            f"{path} is no regular file, and cached states are read from nothing else; remove it"
                        )
                    yield ShardFile(path, identity_of(status), status.st_size, status.st_mtime_ns)


def list_spaces(folder: Path) -> list[Path]:
    """Return the folders of all spaces."""
    spaces = folder.iterdir() if folder.is_dir() else ()
    return [path for path in spaces if _SPACE.fullmatch(path.name) and path.is_dir()]


def all_shards(folder: Path) -> list[ShardFile]:
    """Return the shards of all spaces, least recently used first."""
    found = (shard for space in list_spaces(folder) for shard in list_shards(space))
    return sorted(found, key=lambda shard: shard.used)


def leftover_bytes(folder: Path) -> int:
    """Return what files take that are being written, or that a killed process left half written."""
    total = 0
    for place in (folder, *list_spaces(folder)):
        for path in leftovers(place):
            with suppress(FileNotFoundError):
                total += path.lstat().st_size
    return total


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """How much is stored; ``oldest`` and ``newest`` tell when the shards were last used.

    ``bytes`` are those of the shards, ``unfinished`` those of files that are being written or were left half written.
    """

    shards: int
    bytes: int
    oldest: datetime | None
    newest: datetime | None
    unfinished: int = 0


def info(folder: Path | None = None) -> CacheInfo:
    """Count what is stored."""
    folder = folder or states_folder()
    shards = all_shards(folder)
    times = [datetime.fromtimestamp(shard.used / 1e9, UTC) for shard in shards]
    total = sum(shard.size for shard in shards)
    oldest, newest = (times[0], times[-1]) if times else (None, None)
    return CacheInfo(len(shards), total, oldest, newest, unfinished=leftover_bytes(folder))


# ---- What may go -----------------------------------------------------------------------------------


def prune(
    folder: Path | None = None, max_bytes: int = 0, *, in_use: Callable[[ShardFile], bool] = lambda shard: False
) -> tuple[int, int]:
    """Remove the least recently used shards until at most ``max_bytes`` are left.

    What a killed process left half written goes too, and what an older lingraft stored in another way.

    Args:
        folder: Of all spaces.
        max_bytes: What may stay.
        in_use: Tells which shards stay in any case.

    Returns:
        How many files with states were removed, and how many bytes that freed.
    """
    folder = folder or states_folder()
    if not folder.is_dir():
        return 0, 0
    with locked(folder_lock(folder)):
        former = [path for path in folder.iterdir() if path.is_file() and _FORMER.fullmatch(path.name)]
        sizes = [path.stat().st_size for path in former if path.suffix == ".safetensors"]
        for path in former:
            path.unlink()
        sweep(folder)
        sweep_abandoned(folder)
        removed, freed = remove_until(folder, max_bytes, in_use=in_use)
        return len(sizes) + removed, sum(sizes) + freed


def sweep(folder: Path) -> None:
    """Remove what is half written; whoever writes into ``folder`` holds the lock that we hold."""
    for leftover in leftovers(folder):
        if not leftover.is_dir():  # no file of ours, whoever made it
            leftover.unlink(missing_ok=True)


def sweep_abandoned(folder: Path) -> None:
    """Remove what nobody writes any more: in spaces that nobody holds, and whatever is older than a day."""
    for space in list_spaces(folder):
        try:
            with locked_or_refused(space_lock(space)):
                sweep(space)
        except OSError:  # somebody writes there, or it is another user's
            _sweep_old(space)


def _sweep_old(space: Path) -> None:
    for leftover in leftovers(space):
        with suppress(OSError):
            if time.time() - leftover.lstat().st_mtime > ABANDONED:
                leftover.unlink()


def remove_until(folder: Path, max_bytes: int, *, in_use: Callable[[ShardFile], bool]) -> tuple[int, int]:
    """Remove shards, oldest first, until the bound holds or only those in use are left; what is unfinished counts."""
    shards = all_shards(folder)
    total = sum(shard.size for shard in shards) + leftover_bytes(folder)
    removed = freed = 0
    for shard in shards:
        if total - freed <= max_bytes:
            break
        if in_use(shard):
            continue
        with suppress(OSError):  # gone already, or mapped by another process on a system that minds
            shard.path.unlink()
            removed, freed = removed + 1, freed + shard.size
    return removed, freed
