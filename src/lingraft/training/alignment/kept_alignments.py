"""Word alignments, computed once for each pair of texts and kept beside the states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor

from ...backbones.kept_rows import Ids, keep_rows, pair_digest


def keep_alignments(
    space: Path,
    pairs: Sequence[tuple[Ids, Ids]],
    compute: Callable[[Sequence[tuple[Ids, Ids]]], list[Tensor]],
    *,
    layer: int,
    max_bytes: int,
) -> list[Tensor]:
    """Return the alignment of each pair, ``[K, 2]`` long; what is not kept yet is computed, and kept.

    Positions are kept as float32, which are exact up to 16 million.

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
    found = keep_rows(space, wanted, compute, width=2, layer=layer, max_bytes=max_bytes)
    return [found[name].long() for name in names]
