"""Word alignments, computed once for each pair of texts and kept beside the states.

An alignment is rows of two numbers as a text's states are rows of ``H``, so a shard of the state cache
holds it, in a space of its own: what is damaged is computed again, two processes take turns, what was
not used for longest makes room, and ``lingraft cache`` counts and removes it with the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...backbones.shards import DIGEST_BYTES, text_digest
from ...backbones.state_cache import Place, add_texts, filling, open_texts
from ...backbones.state_table import StateTable

Ids = Sequence[int]
"""Token ids of a text."""


def pair_digest(source: Ids, target: Ids) -> bytes:
    """Name a pair of texts by the token ids of both: 16 bytes."""
    return hashlib.blake2b(text_digest(source) + text_digest(target), digest_size=DIGEST_BYTES).digest()


def keep_alignments(
    space: Path,
    pairs: Sequence[tuple[Ids, Ids]],
    compute: Callable[[Sequence[tuple[Ids, Ids]]], list[Tensor]],
    *,
    layer: int,
    max_bytes: int,
) -> list[Tensor]:
    """Return the alignment of each pair, ``[K, 2]`` long; what is not kept yet is computed, and kept.

    Args:
        space: Folder of all alignments that are made in one way.
        pairs: Token ids of both sides.
        compute: Aligns those that are missing, each once.
        layer: Whose states are compared.
        max_bytes: Bound on the whole store.

    Raises:
        CacheError: The store cannot be read or written.
    """
    names = [pair_digest(*pair) for pair in pairs]
    wanted = dict(zip(names, pairs, strict=True))
    found = open_texts(space, wanted, layer=layer)
    if len(found) < len(wanted):
        with filling(space):  # meanwhile another process may have computed some
            found = open_texts(space, wanted, layer=layer)
            missing = [name for name in wanted if name not in found]
            if missing:
                table = _as_table(compute([wanted[name] for name in missing]), layer)
                found |= add_texts(space, table, missing, max_bytes=max_bytes)
    return [_read(found[name]) for name in names]


def _as_table(alignments: Sequence[Tensor], layer: int) -> StateTable:
    """Write positions as float32, which are exact up to 16 million; nothing is pooled."""
    table = StateTable.empty([len(one) for one in alignments], width=2, layer=layer)
    table.tokens[:] = torch.cat([one.cpu() for one in alignments]).numpy()
    return table


def _read(place: Place) -> Tensor:
    table, row = place
    start, end = table.offsets[row], table.offsets[row + 1]
    return torch.from_numpy(table.tokens[start:end].astype(np.int64))
