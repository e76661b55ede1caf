"""Frozen states, computed once for each text: shards that are read through a memory map.

Everything below the cut depends on the text alone, so every seed, every shot draw, every trial and
every recipe reads the same numbers. What else they depend on is the same for many texts and names a
*space*, a folder of shards (:func:`space_key`): the backbone, the cut, the precision, the device.
Within it a text is found by a digest of its token ids. So nothing is ever out of date, only unused;
the least recently used shards make room for new ones.

What can go wrong with files is met here. A damaged shard is dropped, with a warning, and its texts
alone are computed again. Two processes that fill one space take turns, and the second finds what the
first computed; one that was killed leaves its finished shards. A shard that this process has open is
never removed to make room; another process may remove it, and on POSIX systems that does no harm: a
mapped file stays readable after it lost its name.
"""

from __future__ import annotations

import errno
import hashlib
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError

from ..core import stored_states
from ..core.errors import CacheError
from ..core.files import locked
from ..core.stored_states import (
    ShardFile,
    all_shards,
    folder_lock,
    list_shards,
    remove_until,
    space_lock,
    sweep,
    sweep_abandoned,
)
from .shards import (
    DamagedError,
    discard_shard,
    is_in_use,
    open_shard,
    read_digests,
    shard_bytes,
    write_shard,
)
from .state_table import StateTable

log = logging.getLogger(__name__)

VERSION = 2  # raised when the meaning of a shard changes; older ones are then never found again

T = TypeVar("T")

Place = tuple[StateTable, int]
"""A table, and a row of it."""


def space_key(
    *,
    weights_digest: str,
    tokenizer_digest: str,
    cut: int,
    dtype: str,
    precision: str,
    device: str,
    last: bool = False,
) -> str:
    """Name everything but the text that states depend on, in 64 hexadecimal digits.

    Every field goes in with its length in front, so no two inputs run together into the same bytes.

    Args:
        weights_digest: Identity of the backbone's weights.
        tokenizer_digest: Identity of the tokenizer.
        cut: Number of frozen blocks that the states went through.
        dtype: How the states are stored.
        precision: How they were computed.
        device: Type of the device that computed them; kernels round differently.
        last: Whether texts that are kept pooled are read off their last token alone.
    """
    digest = hashlib.sha256()
    of_last = ("last token",) if last else ()  # states from before there was a choice keep their name
    for field in (str(VERSION), weights_digest, tokenizer_digest, str(cut), dtype, precision, device, *of_last):
        payload = field.encode()
        digest.update(len(payload).to_bytes(8, "little") + payload)
    return digest.hexdigest()


# ---- Reading ---------------------------------------------------------------------------------------


def locate_texts(
    space: Path, digests: Collection[bytes], *, besides: Collection[Path] = ()
) -> dict[bytes, tuple[ShardFile, int]]:
    """Look up texts: shard and row of each that is stored. No state is read, only which texts a shard holds.

    Args:
        space: Folder of the space.
        digests: From :func:`~.shards.text_digest`.
        besides: Shards that are not asked.

    Raises:
        CacheError: Something else than a file has the name of a shard, or the folder cannot be read.
    """
    wanted, found = set(digests), dict[bytes, tuple[ShardFile, int]]()
    with _readable(space):
        for shard in list_shards(space):
            if not wanted:
                break
            if shard.path not in besides:
                held = _attempt(read_digests, shard) or ()
                found |= {digest: (shard, row) for row, digest in enumerate(held) if digest in wanted}
                wanted -= found.keys()
    return found


def open_texts(space: Path, digests: Collection[bytes], *, layer: int) -> dict[bytes, Place]:
    """Look up texts and map the shards of those that are stored; a damaged shard is dropped, with a warning.

    Args:
        space: Folder of the space.
        digests: From :func:`~.shards.text_digest`.
        layer: Number of blocks that the states went through.

    Raises:
        CacheError: As for :func:`locate_texts`.
    """
    spoilt: set[Path] = set()
    while True:
        places = locate_texts(space, digests, besides=spoilt)
        with _readable(space):
            shards = {shard for shard, _ in places.values()}
            tables = {shard: _attempt(lambda path: open_shard(path, layer), shard) for shard in shards}
        opened = {shard: table for shard, table in tables.items() if table is not None}
        if len(opened) == len(tables):
            return {digest: (opened[shard], row) for digest, (shard, row) in places.items()}
        spoilt |= {shard.path for shard in tables.keys() - opened.keys()}  # another may hold some of their texts


def _attempt(read: Callable[[Path], T], shard: ShardFile) -> T | None:
    """Read a shard; None where it is gone by now, or damaged, and then it is removed."""
    try:
        return read(shard.path)
    except FileNotFoundError:
        return None
    except DamagedError as error:
        log.warning("%s is damaged (%s); it is dropped, its texts are computed again when needed", shard.path, error)
        discard_shard(shard)
        return None


@contextmanager
def _readable(space: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CacheError(f"cannot read {space}: {error}; {_OTHER_FOLDER}") from error


# ---- Writing ---------------------------------------------------------------------------------------


@contextmanager
def filling(space: Path) -> Iterator[None]:
    """Hold a space alone, to compute what it lacks; what a killed process left half written is removed.

    Raises:
        CacheError: The folder cannot be written to.
    """
    with ExitStack() as held:
        try:
            held.enter_context(locked(space_lock(space)))
            sweep(space)
        except OSError as error:
            raise CacheError(f"cannot write to {space}: {error}; {_OTHER_FOLDER}") from error
        yield


def add_texts(space: Path, table: StateTable, digests: Sequence[bytes], *, max_bytes: int) -> dict[bytes, Place]:
    """Store the states of some texts as a shard, and map it; the caller holds the space (:func:`filling`).

    Args:
        space: Folder of the space.
        table: States of ``N`` texts.
        digests: One for each text.
        max_bytes: Bound on all spaces together. Shards that were not used for longest make room; those
            that this process reads from stay.

    Raises:
        CacheError: The shard does not fit, or cannot be written.
    """
    size = shard_bytes(table)
    try:
        with locked(folder_lock(space.parent)):  # so that two writers do not both take the last free gigabyte
            _make_room(space.parent, size, max_bytes)
            mapped = write_shard(space, table, digests)
    except (OSError, SafetensorError) as error:
        raise CacheError(_why_not_written(error, space, size)) from error
    return {digest: (mapped, row) for row, digest in enumerate(digests)}


def require_room(folder: Path, size: int, *, max_bytes: int) -> None:
    """Refuse what cannot be kept before it is computed.

    Args:
        folder: Folder of all spaces.
        size: Bytes that are to be added (:func:`~.shards.states_bytes`).
        max_bytes: Bound on all spaces together.

    Raises:
        CacheError: Beside the shards that this process reads from there is no room for it.
    """
    used = sum(shard.size for shard in all_shards(folder) if is_in_use(shard))
    if used + size > max_bytes:
        needs = (
            f"this run uses {_in_units(used)} of cached states and needs {_in_units(size)} more"
            if used
            else (f"the states take {_in_units(size)}")
        )
        raise CacheError(
            f"{needs}, but the cache is bounded to {_in_units(max_bytes)}; raise cache.max_gigabytes in the recipe, or "
            "halve the states with cache.dtype: float16"
        )


def _why_not_written(error: Exception, space: Path, size: int) -> str:
    """Return what stood in the way of saving a shard, and what to do."""
    # The safetensors library reports the system's error in its text only.
    full = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
    if getattr(error, "errno", None) in full or any(f"os error {code})" in str(error) for code in full):
        return (
            f"the disk of {space} is full; states of {_in_units(size)} were not saved. Free some space, run "
            "`lingraft cache prune`, store the states in 16 bit (cache.dtype: float16), or let LINGRAFT_CACHE name "
            "a folder on a larger disk"
        )
    return (
        f"states of {_in_units(size)} could not be saved in {space}: {error}. Check the disk and the permissions "
        "of that folder, or let LINGRAFT_CACHE name another one"
    )


_OTHER_FOLDER = "let LINGRAFT_CACHE name another folder"


# ---- Bounds ----------------------------------------------------------------------------------------


def prune(folder: Path | None = None, max_bytes: int = 0) -> tuple[int, int]:
    """Remove what :func:`lingraft.core.stored_states.prune` does, but no shard that is open in this process."""
    return stored_states.prune(folder, max_bytes, in_use=is_in_use)


def _make_room(folder: Path, size: int, max_bytes: int) -> None:
    """Remove shards until one of ``size`` bytes fits.

    Raises:
        CacheError: The shards that this process reads from leave no room.
    """
    sweep_abandoned(folder)
    removed, freed = remove_until(folder, max_bytes - size, in_use=is_in_use)
    if removed:
        log.info("removed %d unused shards (%s) from %s", removed, _in_units(freed), folder)
    require_room(folder, size, max_bytes=max_bytes)


def _in_units(size: float) -> str:
    """Return a number of bytes for people: ``1.50 GB``."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} bytes" if unit == "bytes" else f"{size:.2f} {unit}"
        size /= 1000
    return f"{size:.2f} GB"
