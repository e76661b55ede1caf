"""Frozen states, computed once: a content-addressed store that is read through a memory map.

Everything below the cut depends on the text alone, so every seed, every shot draw and every
hyper-parameter trial reads the same numbers. An *entry* holds them for an ordered list of ``N``
texts in one safetensors file: the tokens of all texts one after the other without padding, where
each text begins, and the pooled states after the last layer. Its name is a digest of everything the
numbers depend on (:func:`entry_key`), so an entry is never out of date, only unused; the least
recently used ones make room for new ones.

What can go wrong with files is met here. A damaged entry (its checksum is compared on opening) is
dropped and built again. Two processes that want the same entry build it once. An entry that this
process has open is never removed to make room; another process may remove it, and on POSIX systems
that does no harm: a mapped file stays readable after it lost its name.

Nothing here imports torch, so that ``lingraft cache info`` answers at once.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import mmap
import os
import weakref
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save_file

from ..core.errors import CacheError
from ..core.files import TEMPORARY, cache_root, locked, write_atomically
from .state_table import DTYPES, Dtype, StateTable

__all__ = [
    "DEFAULT_MAX_BYTES",
    "VERSION",
    "CacheInfo",
    "entry_bytes",
    "entry_key",
    "info",
    "open_entry",
    "prune",
    "states_folder",
    "stored",
]

log = logging.getLogger(__name__)

VERSION = 1  # raised when the meaning of an entry changes; older entries are then never found again
DEFAULT_MAX_BYTES = 20 * 10**9

_HEADER_BYTES = 1024  # room for the header of a safetensors file; ours is a third of that


def states_folder() -> Path:
    """Where entries live, unless a caller says otherwise."""
    return cache_root() / "states"


def entry_key(
    *,
    weights_digest: str,
    tokenizer_digest: str,
    cut: int,
    max_length: int,
    dtype: str,
    precision: str,
    texts: Sequence[tuple[int, ...]] | Sequence[str],
) -> str:
    """Name everything that the states of an entry depend on, in 64 hexadecimal digits.

    Every field goes in with its kind and length in front, so no two inputs run together into the
    same bytes; the order of the texts counts.

    Args:
        weights_digest: Identity of the backbone's weights.
        tokenizer_digest: Identity of the tokenizer.
        cut: Number of frozen blocks that the states went through.
        max_length: Longest text in tokens.
        dtype: How the states are stored.
        precision: How they were computed.
        texts: Token ids or strings, one per row of the entry.
    """
    digest = hashlib.sha256()
    fields = (weights_digest, tokenizer_digest, str(cut), str(max_length), dtype, precision, str(len(texts)))
    for field in (str(VERSION), *fields):
        digest.update(_with_length(field))
    for text in texts:
        digest.update(_with_length(text))
    return digest.hexdigest()


def _with_length(value: str | tuple[int, ...]) -> bytes:
    """A text or its token ids as bytes that say where they end."""
    if isinstance(value, str):
        kind, payload = b"s", value.encode("utf-8", "surrogatepass")
    else:
        kind, payload = b"i", np.asarray(value, dtype="<i8").tobytes()
    return kind + len(payload).to_bytes(8, "little") + payload


def entry_bytes(lengths: Sequence[int], *, width: int, dtype: Dtype = "float32") -> int:
    """Size on disk of an entry for texts of these lengths, known before anything is computed."""
    tokens = int(np.sum(lengths, dtype=np.int64)) * width * np.dtype(dtype).itemsize
    offsets, pooled = 8 * (len(lengths) + 1), 4 * width * len(lengths)
    return tokens + offsets + pooled + _HEADER_BYTES


# ---- The store -------------------------------------------------------------------------------------


def open_entry(key: str, *, folder: Path | None = None) -> StateTable | None:
    """Map the entry called ``key``, or return None where there is none, or only a damaged one.

    Args:
        key: From :func:`entry_key`.
        folder: Where entries live.
    """
    path = _path(key, folder)
    try:
        return _load(path)
    except FileNotFoundError:
        return None
    except _DamagedError:
        with _building(path):
            return _load_or_discard(path)


def stored(
    key: str,
    build: Callable[[], StateTable],
    *,
    folder: Path | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
    size: int | None = None,
) -> StateTable:
    """Map the entry called ``key``; build and save it first where it is missing or damaged.

    Args:
        key: From :func:`entry_key`.
        build: Computes the table. Where several processes ask at once, one of them builds and the others wait.
        folder: Where entries live.
        max_bytes: Bound on all entries together. Those that were not used for longest make room; those
            whose table is alive in this process stay.
        size: What the entry will take (:func:`entry_bytes`), to refuse before computing what cannot be kept.

    Returns:
        The memory-mapped table, never the one that ``build`` made.

    Raises:
        CacheError: The entry does not fit, or cannot be written.
    """
    path = _path(key, folder)
    with suppress(OSError, _DamagedError):  # a folder that cannot be used is told of on locking
        return _load(path)
    with _building(path):
        table = _load_or_discard(path)
        if table is not None:
            return table
        if size is not None:
            _refuse_oversize(size, max_bytes)
        return _publish(build(), path, max_bytes)


def _publish(table: StateTable, path: Path, max_bytes: int) -> StateTable:
    """Make room, write, read back."""
    size = table.nbytes + _HEADER_BYTES
    _refuse_oversize(size, max_bytes)
    with locked(_folder_lock(path.parent)):  # so that two writers do not both take the last free gigabyte
        _make_room(path.parent, size, max_bytes)
        try:
            write_atomically(path, partial(_save, table))
            return _load(path)
        except (OSError, SafetensorError, _DamagedError) as error:
            raise CacheError(_why_not_written(error, path, size)) from error


def _path(key: str, folder: Path | None) -> Path:
    return (folder or states_folder()) / f"{key}.safetensors"


@contextmanager
def _building(path: Path) -> Iterator[None]:
    """Hold the lock of one entry, and leave no lock file behind.

    Removing a lock file that another process waits for lets a third one in beside it. That costs at
    most a second computation of the same numbers: whoever holds a lock looks for the entry again, and
    files are replaced whole.
    """
    lock = path.with_suffix(".lock")
    with ExitStack() as held:
        try:
            held.enter_context(locked(lock))
        except OSError as error:
            raise CacheError(
                f"cannot write to {path.parent}: {error}; let LINGRAFT_CACHE name another folder"
            ) from error
        try:
            yield
        finally:
            with suppress(OSError):
                lock.unlink()


# ---- One file --------------------------------------------------------------------------------------


class _DamagedError(Exception):
    """The file is not what was written."""


def _save(table: StateTable, path: Path) -> None:
    arrays = {name: np.ascontiguousarray(array) for name, array in _arrays(table).items()}
    metadata = {"version": str(VERSION), "layer": str(table.layer), "crc32": str(_checksum(table))}
    save_file(arrays, path, metadata=metadata)


def _arrays(table: StateTable) -> dict[str, NDArray[Any]]:
    return {"tokens": table.tokens, "offsets": table.offsets, "pooled": table.pooled}


def _checksum(table: StateTable) -> int:
    """CRC-32 over all that the file says; accidents are the enemy, not forgers, and it is the fastest at hand."""
    checksum = zlib.crc32(f"{VERSION} {table.layer}".encode())
    for name, array in _arrays(table).items():
        checksum = zlib.crc32(f"{name} {array.dtype.str} {array.shape}".encode(), checksum)
        checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
    return checksum


# Tables that somebody holds, by the identity of their file. Weak, so that a table which nobody needs
# any more neither keeps its file from being removed nor its map from being closed.
_in_use: weakref.WeakValueDictionary[tuple[int, int, int], StateTable] = weakref.WeakValueDictionary()


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_dev, status.st_ino, status.st_size


def _load(path: Path) -> StateTable:
    """Map an entry and note that it was used; a table still alive in this process is handed out again.

    Raises:
        FileNotFoundError: There is no such entry.
        _DamagedError: The file is not what was written.
    """
    with path.open("rb") as file:
        identity = _identity(os.fstat(file.fileno()))
        table = _in_use.get(identity)
        if table is None:
            table = _in_use[identity] = _read(file)
    with suppress(OSError):  # a cache that we may only read is of use too
        os.utime(path)
    return table


def _read(file: BinaryIO) -> StateTable:
    """Map a safetensors file and compare its checksum."""
    try:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        size = int.from_bytes(content[:8], "little")
        if size > _HEADER_BYTES:
            raise ValueError(f"a header of {size} bytes")
        header = json.loads(content[8 : 8 + size])
        metadata = header.pop("__metadata__")
        arrays = {name: _view(content, 8 + size, spec) for name, spec in header.items()}
        table = StateTable(arrays["tokens"], arrays["offsets"], arrays["pooled"], int(metadata["layer"]))
        if 8 + size + table.nbytes != len(content) or int(metadata["crc32"]) != _checksum(table):
            raise ValueError("the checksum differs")
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        raise _DamagedError(str(error)) from error
    return table


def _view(content: mmap.mmap, start: int, spec: dict[str, Any]) -> NDArray[Any]:
    """One array of a safetensors file, without copying it."""
    begin, end = spec["data_offsets"]
    dtype = DTYPES[spec["dtype"]]
    return np.frombuffer(content, np.uint8, end - begin, start + begin).view(dtype).reshape(spec["shape"])


def _load_or_discard(path: Path) -> StateTable | None:
    """Map an entry; remove it, with a warning, where it is damaged."""
    try:
        return _load(path)
    except FileNotFoundError:
        return None
    except _DamagedError as error:
        log.warning("%s is damaged (%s); it is dropped, and computed again when needed", path, error)
        with suppress(OSError):
            path.unlink()
        return None


def _why_not_written(error: Exception, path: Path, size: int) -> str:
    """What stood in the way of saving an entry, and what to do."""
    # The safetensors library reports the system's error in its text only.
    full = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
    if getattr(error, "errno", None) in full or any(f"os error {code})" in str(error) for code in full):
        return (
            f"the disk of {path.parent} is full; an entry of {_readable(size)} was not saved. Free some space, run "
            "`lingraft cache prune`, store the states in 16 bit (cache.dtype: float16), or let LINGRAFT_CACHE name "
            "a folder on a larger disk"
        )
    return (
        f"an entry of {_readable(size)} could not be saved as {path}: {error}. Check the disk and the permissions "
        "of that folder, or let LINGRAFT_CACHE name another one"
    )


# ---- Bounds ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """How much is stored; ``oldest`` and ``newest`` tell when the entries were last used."""

    entries: int
    bytes: int
    oldest: datetime | None
    newest: datetime | None


def info(folder: Path | None = None) -> CacheInfo:
    """Count what is stored."""
    entries = _entries(folder or states_folder())
    times = [datetime.fromtimestamp(status.st_mtime, UTC) for _, status in entries]
    total = sum(status.st_size for _, status in entries)
    return CacheInfo(len(entries), total, times[0] if times else None, times[-1] if times else None)


def prune(folder: Path | None = None, max_bytes: int = 0) -> tuple[int, int]:
    """Remove the least recently used entries until at most ``max_bytes`` are left.

    What a crashed process left half written goes too. Entries open in this process stay.

    Returns:
        How many entries were removed, and how many bytes that freed.
    """
    folder = folder or states_folder()
    if not folder.is_dir():
        return 0, 0
    with locked(_folder_lock(folder)):
        for leftover in folder.glob(f"{TEMPORARY}*.safetensors"):  # whoever writes holds the lock that we hold
            with suppress(OSError):
                leftover.unlink()
        return _remove_until(folder, max_bytes)


def _folder_lock(folder: Path) -> Path:
    return folder / "folder.lock"


def _entries(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """All complete entries, least recently used first."""
    found = []
    for path in folder.glob("*.safetensors"):
        with suppress(FileNotFoundError):  # another process may be pruning
            if not path.name.startswith("."):
                found.append((path, path.stat()))
    return sorted(found, key=lambda entry: entry[1].st_mtime_ns)


def _remove_until(folder: Path, max_bytes: int) -> tuple[int, int]:
    """Remove entries, oldest first, until the bound holds or only those in use are left."""
    entries = _entries(folder)
    total = sum(status.st_size for _, status in entries)
    removed = freed = 0
    for path, status in entries:
        if total - freed <= max_bytes:
            break
        if _identity(status) in _in_use:
            continue
        with suppress(OSError):  # gone already, or mapped by another process on a system that minds
            path.unlink()
            removed, freed = removed + 1, freed + status.st_size
    return removed, freed


def _make_room(folder: Path, size: int, max_bytes: int) -> None:
    """Remove entries until one of ``size`` bytes fits.

    Raises:
        CacheError: The entries that this process uses leave no room.
    """
    removed, freed = _remove_until(folder, max_bytes - size)
    if removed:
        log.info("removed %d unused entries (%s) from %s", removed, _readable(freed), folder)
    left = sum(status.st_size for _, status in _entries(folder))
    if left + size > max_bytes:
        raise CacheError(
            f"this run uses {_readable(left)} of cached states and needs {_readable(size)} more, but the cache is "
            f"bounded to {_readable(max_bytes)}; {_BOUND_CURE}"
        )


def _refuse_oversize(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise CacheError(
            f"an entry of {_readable(size)} does not fit into a cache bounded to {_readable(max_bytes)}; {_BOUND_CURE}"
        )


_BOUND_CURE = "raise cache.max_gigabytes in the recipe, or halve the entries with cache.dtype: float16"


def _readable(size: float) -> str:
    """A number of bytes for people: ``1.50 GB``."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} bytes" if unit == "bytes" else f"{size:.2f} {unit}"
        size /= 1000
    return f"{size:.2f} GB"
