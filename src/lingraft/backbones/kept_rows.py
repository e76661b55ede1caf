"""Small tables that are computed once for each text, or pair of texts, and kept beside the states.

A table is rows of numbers, as a text's states are rows of ``H``, so a shard of the state cache holds it, in a space of
its own: what is damaged is computed again, two processes take turns, what was not used for longest makes room, and
``lingraft cache`` counts and removes it with the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from .shards import DIGEST_BYTES, text_digest
from .state_cache import Place, add_texts, filling, open_texts
from .state_table import StateTable

Ids = Sequence[int]
"""Token ids of a text."""

T = TypeVar("T")


def pair_digest(source: Ids, target: Ids) -> bytes:
    """Name a pair of texts by the token ids of both: 16 bytes."""
    return hashlib.blake2b(text_digest(source) + text_digest(target), digest_size=DIGEST_BYTES).digest()


def keep_rows(
    space: Path,
    wanted: Mapping[bytes, T],
    compute: Callable[[Sequence[T]], list[Tensor]],
    *,
    width: int,
    layer: int,
    max_bytes: int,
) -> dict[bytes, Tensor]:
    """Return the table of each name, ``[K, width]`` float32; what is not kept yet is computed, and kept.

    Args:
        space: Folder of all tables that are made in one way.
        wanted: What each table is made of, by its name.
        compute: Makes the tables of those that are missing.
        width: Numbers of a row.
        layer: Whose states they are made of.
        max_bytes: Bound on the whole store.

    Raises:
        CacheError: The store cannot be read or written.
    """
    found = open_texts(space, wanted, layer=layer)
    if len(found) < len(wanted):
        with filling(space):  # meanwhile another process may have computed some
            found = open_texts(space, wanted, layer=layer)
            missing = [name for name in wanted if name not in found]
            if missing:
                table = _as_table(compute([wanted[name] for name in missing]), width, layer)
                found |= add_texts(space, table, missing, max_bytes=max_bytes)
    return {name: _read(found[name]) for name in wanted}


def _as_table(rows: Sequence[Tensor], width: int, layer: int) -> StateTable:
    table = StateTable.empty([len(one) for one in rows], width=width, layer=layer)
    table.tokens[:] = torch.cat([one.cpu() for one in rows]).numpy()
    return table


def _read(place: Place) -> Tensor:
    table, row = place
    start, end = table.offsets[row], table.offsets[row + 1]
    return torch.from_numpy(table.tokens[start:end].copy()).float()
