"""One file of the state cache: the states of some texts, never changed once it has its name.

A *shard* is a safetensors file with the arrays of a :class:`~.state_table.StateTable` and, in
``digests``, which texts they belong to: ``[N, 16]``, one digest of its token ids for each text. Its
name says what it holds: a digest of ``digests``, and a checksum of the whole file. So the texts of a
shard are known by reading a few kilobytes, and whatever bit of it changes is noticed: on looking up
texts, or before the first state is read.
"""

from __future__ import annotations

import hashlib
import os
import weakref
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ..core.files import publish_file, temporary_file
from ..core.stored_states import ShardFile, identity_of
from .state_table import Dtype, StateTable

DIGEST_BYTES = 16

_HEADER_BYTES = 1024  # room for the header of a safetensors file; ours is a third of that
_SMALL = 16 * 10**6  # bytes that nearly every shard of several has, so that their headers are counted too
_CHUNK = 1 << 20  # bytes that are checked at once


class DamagedError(Exception):
    """A shard is not what was written."""


def text_digest(ids: Sequence[int]) -> bytes:
    """Name a text by its token ids, their number in front: 16 bytes."""
    payload = np.asarray(ids, dtype="<i8").tobytes()
    return hashlib.blake2b(len(ids).to_bytes(8, "little") + payload, digest_size=DIGEST_BYTES).digest()


def states_bytes(lengths: Sequence[int], *, width: int, dtype: Dtype = "float32") -> int:
    """Return the size on disk of shards for texts of these lengths, known before anything is computed."""
    tokens = int(np.sum(lengths, dtype=np.int64)) * width * np.dtype(dtype).itemsize
    size = tokens + (4 * width + 8 + DIGEST_BYTES) * len(lengths)
    return size + (1 + size // _SMALL) * (8 + _HEADER_BYTES)


def shard_bytes(table: StateTable) -> int:
    """Return the size on disk of the shard of a table, give or take what its header leaves free."""
    arrays = table.tokens.nbytes + table.offsets.nbytes + table.pooled.nbytes
    return arrays + len(table) * DIGEST_BYTES + _HEADER_BYTES


# ---- Files -----------------------------------------------------------------------------------------


def discard_shard(shard: ShardFile) -> None:
    """Remove a damaged shard where that is allowed, but not what another process has put in its place since."""
    with suppress(OSError):
        if identity_of(shard.path.lstat()) == shard.identity:
            shard.path.unlink()


def write_shard(folder: Path, table: StateTable, digests: Sequence[bytes]) -> StateTable:
    """Write the states of some texts, and map what was written.

    Args:
        folder: Where the shard goes.
        table: States of ``N`` texts.
        digests: From :func:`text_digest`, one for each text.

    Raises:
        OSError, SafetensorError: The disk is full, or refuses.
    """
    texts = b"".join(digests)
    arrays = {
        "digests": np.frombuffer(texts, np.uint8).reshape(-1, DIGEST_BYTES),
        "tokens": table.tokens,
        "offsets": table.offsets,
        "pooled": table.pooled,
    }
    with temporary_file(folder / "shard.safetensors") as temporary:
        save_file(arrays, temporary)
        with temporary.open("rb") as file:
            path = folder / f"{_name(texts)}-{_checksum(file):08x}.safetensors"
        publish_file(temporary, path, flush=False)
    with path.open("rb") as file:
        return _mapped(path, identity_of(os.fstat(file.fileno())), table.layer)


def _name(texts: bytes) -> str:
    return hashlib.blake2b(texts, digest_size=16).hexdigest()


def _checksum(file: BinaryIO) -> int:
    """Return the CRC-32 of all bytes; accidents are the enemy, not forgers, and it is the fastest at hand.

    The file is read, not mapped, so that what was looked at once does not stay in this process's memory.
    """
    checksum = 0
    while chunk := file.read(_CHUNK):
        checksum = zlib.crc32(chunk, checksum)
    return checksum


def read_digests(path: Path) -> list[bytes]:
    """Say which texts a shard holds, in the order of its rows; no state is read.

    Raises:
        FileNotFoundError: It is gone.
        DamagedError: It does not hold what its name says.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            texts: bytes = file.get_tensor("digests").tobytes()
    except (SafetensorError, ValueError, TypeError, MemoryError) as error:
        raise DamagedError(str(error)) from error
    if _name(texts) != path.name.partition("-")[0]:
        raise DamagedError("it does not hold the texts that its name says")
    return [texts[i : i + DIGEST_BYTES] for i in range(0, len(texts), DIGEST_BYTES)]


# Tables that somebody holds, by the identity of their file. Weak, so that a table which nobody needs
# any more neither keeps its file from being removed nor its map from being closed.
_in_use: weakref.WeakValueDictionary[tuple[int, int, int], StateTable] = weakref.WeakValueDictionary()


def is_in_use(shard: ShardFile) -> bool:
    """Return whether a table of this process reads from a shard."""
    return shard.identity in _in_use


def open_shard(path: Path, layer: int) -> StateTable:
    """Map a shard, its checksum compared, and note that it was used.

    A shard that this process has open already is handed out again.

    Args:
        path: From :func:`~lingraft.core.stored_states.list_shards`.
        layer: Number of blocks that its states went through.

    Raises:
        FileNotFoundError: It is gone.
        DamagedError: It is not what was written.
    """
    with path.open("rb") as file:
        identity = identity_of(os.fstat(file.fileno()))
        table = _in_use.get(identity)
        if table is None:
            if f"{_checksum(file):08x}" != path.stem.partition("-")[2]:
                raise DamagedError("the checksum differs")
            table = _mapped(path, identity, layer)
    with suppress(OSError):  # a cache that we may only read is of use too
        os.utime(path)
    return table


def _mapped(path: Path, identity: tuple[int, int, int], layer: int) -> StateTable:
    """Return the arrays of a shard as views of its memory map (safetensors maps for torch, and copies for numpy)."""
    with safe_open(path, framework="pt") as file:
        tokens, offsets, pooled = (file.get_tensor(name).numpy() for name in ("tokens", "offsets", "pooled"))
    for array in (tokens, offsets, pooled):
        array.flags.writeable = False
    table = _in_use[identity] = StateTable(tokens, offsets, pooled, layer)
    return table
